//go:build unix

package localfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// tryLock takes the lock of an open file, which lasts until the file is closed. The kernel
// releases it when the process ends, however it ends.
func tryLock(f *os.File) (taken bool, err error) {
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EINTR) {
		return false, nil
	}
	return err == nil, err
}

// openHistory opens the history of the keyset at path, or makes it. While root changes the
// keyset, somebody who may write to the folder may put a link there, or a second name of another
// user's file: so it follows nothing, and changes the owner only of a file that it has made.
func openHistory(path string) (*os.File, error) {
	const flags = os.O_WRONLY | os.O_APPEND
	f, err := os.OpenFile(historyPath(path), flags|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return openRegular(historyPath(path), flags)
	}
	if err != nil {
		return nil, err
	}
	// If the history belonged to root, the keyset's owner could not change the keyset.
	keyset, err := os.Lstat(path)
	if err == nil {
		err = keepOwner(f, keyset)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// openRegular opens a regular file that has only this name. It never waits, as opening a pipe
// would.
func openRegular(name string, flags int) (*os.File, error) {
	f, err := os.OpenFile(name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if is, ok := info.Sys().(*syscall.Stat_t); !ok || !info.Mode().IsRegular() || is.Nlink != 1 {
		return nil, errors.Join(fmt.Errorf("%s is not a regular file, or has a second name: remove it; only dates are lost with it", name), f.Close())
	}
	return f, nil
}

// keepOwner makes the owner of the keyset that was read the owner of f.
func keepOwner(f *os.File, old fs.FileInfo) error {
	fresh, err := f.Stat()
	if err != nil {
		return err
	}
	was, ok := old.Sys().(*syscall.Stat_t)
	is, ok2 := fresh.Sys().(*syscall.Stat_t)
	if !ok || !ok2 || was.Uid == is.Uid && was.Gid == is.Gid {
		return nil
	}
	if err := f.Chown(int(was.Uid), int(was.Gid)); err != nil && was.Uid != is.Uid {
		return fmt.Errorf("keeping the owner (user %d) of %s: %w", was.Uid, old.Name(), err)
	}
	return nil // another group reads nothing in a file of mode 0600
}
