//go:build !linux && !noembedded

package main

import "syscall"

// endWithParent: the end of its standard input is all that ends a child here.
func endWithParent() *syscall.SysProcAttr { return nil }
