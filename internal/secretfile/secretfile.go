// Package secretfile reads files with secrets, and refuses those that more can read than
// should.
package secretfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
)

// Read reads a regular file of at most limit bytes that [Check] has nothing against. A link to
// one will do: that is how Kubernetes mounts a Secret. info describes the file that was read.
func Read(path string, limit int64) (content []byte, info fs.FileInfo, err error) {
	// Check before opening it, since opening a pipe waits for its writer.
	if info, err = os.Stat(path); err != nil {
		return nil, nil, err
	}
	if err := Check(path, info); err != nil {
		return nil, nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	// And again, for the file that is read.
	if info, err = f.Stat(); err != nil {
		return nil, nil, err
	}
	if err := Check(path, info); err != nil {
		return nil, nil, err
	}
	if info.Size() > limit {
		return nil, nil, fmt.Errorf("%s is %d bytes long; at most %d", path, info.Size(), limit)
	}
	content = make([]byte, info.Size())
	if _, err := io.ReadFull(f, content); err != nil {
		clear(content)
		return nil, nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return content, info, nil
}

// Check refuses what is not a regular file, and a file that others than its owner can use. A
// group may read it if that is one of this process's own, and the file is root's or this
// user's: Kubernetes mounts a Secret so for a pod with an fsGroup.
func Check(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	const groupReads = 0o040
	mode := info.Mode().Perm()
	switch {
	case mode&0o077 == 0:
		return nil
	case mode&0o077 != groupReads:
		return fmt.Errorf("%s has mode %04o, so that others than its owner can use the secrets in it: chmod 600 %s "+
			"(a Kubernetes Secret: defaultMode 0400)", path, mode, path)
	}
	at, known := ownerOf(info)
	if known && at.trusted(self()) {
		return nil
	}
	return fmt.Errorf("%s has mode %04o, and its owner is neither root nor this user, or its group is not one of this process's: chmod 600 %s "+
		"(a Kubernetes Secret: defaultMode 0400, and the pod's securityContext.fsGroup)", path, mode, path)
}

// owner is whose a file is, and who a process is.
type owner struct {
	user   int
	groups []int
}

func self() owner {
	groups, _ := os.Getgroups() // without them fewer files are accepted
	return owner{os.Geteuid(), append(groups, os.Getegid())}
}

// trusted tells whether a file's group may read what a process reads.
func (o owner) trusted(process owner) bool {
	return (o.user == 0 || o.user == process.user) && slices.Contains(process.groups, o.groups[0])
}
