package lab

import "syscall"

// dieWithParent makes child processes end when the test run is killed or panics.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
