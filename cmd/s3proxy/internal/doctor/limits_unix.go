//go:build linux || darwin || freebsd

package doctor

import (
	"os"
	"syscall"
)

// freeBytes tells how much room there is for this user where a file is.
func freeBytes(f *os.File) (uint64, error) {
	var at syscall.Statfs_t
	err := syscall.Fstatfs(int(f.Fd()), &at)
	return uint64(at.Bsize) * uint64(at.Bavail), err
}

// mayOpen tells how many files the process may open. Go has raised that to what is allowed.
func mayOpen() (uint64, error) {
	var limit syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	return uint64(limit.Cur), err
}
