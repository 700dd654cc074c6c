package lab

import "syscall"

// dieWithParent ends the children of a test run that is killed or panics.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
