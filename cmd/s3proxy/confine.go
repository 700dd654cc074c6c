//go:build !noembedded

package main

import (
	"fmt"
	"os"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// storeFolders are the folders that the embedded store's process needs; "" stands for none.
type storeFolders struct {
	data   []string
	socket string
}

// Since its second version Landlock allows files to be moved between folders, which the
// store does with each object.
const landlockNeeded = 2

// confine gives up this process's access to all files but those of the store, to
// running programs, to TCP and, from Landlock 6 on, to signals and abstract sockets of
// other processes. It holds for all threads, and cannot be taken back. Landlock knows
// nothing of stat, chmod and extended attributes, nor, as of Linux 6.18, of Multipath TCP.
// On a kernel without Landlock it prints one warning: even there the store's process has no
// keys.
//
// https://docs.kernel.org/userspace-api/landlock.html
func confine(folders storeFolders) error {
	if version, err := ll.LandlockGetABIVersion(); err != nil || version < landlockNeeded {
		fmt.Fprintln(os.Stderr, "this system has no Landlock: only checks of names keep the store's process within its folder")
		return nil
	}
	const (
		read  = ll.AccessFSReadFile | ll.AccessFSReadDir
		write = ll.AccessFSWriteFile | ll.AccessFSTruncate | ll.AccessFSMakeReg | ll.AccessFSMakeDir | ll.AccessFSRemoveFile | ll.AccessFSRemoveDir | ll.AccessFSRefer
	)
	rules := []landlock.Rule{
		landlock.PathAccess(ll.AccessFSMakeSock|ll.AccessFSRemoveFile, folders.socket),
		// The store writes an object to a file without a name, and links it from there.
		landlock.PathAccess(ll.AccessFSReadDir, "/proc/self/fd").IgnoreIfMissing(),
	}
	for _, folder := range folders.data {
		if folder != "" {
			rules = append(rules, landlock.PathAccess(read|write, folder))
		}
	}
	return landlock.V11.BestEffort().Restrict(rules...)
}
