//go:build !noembedded

package main

import "syscall"

// endWithParent ends a child that no longer reads its standard input, too.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
