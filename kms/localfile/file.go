package localfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxFile bounds what is read, in bytes: about 4,000 keys.
const maxFile = 1 << 20

// readPrivate reads a regular file that only its owner may use. A link to one will do: that is
// how Kubernetes mounts a secret. info describes the file that was read.
func readPrivate(path string) (content []byte, info fs.FileInfo, err error) {
	// Check before opening it, since opening a pipe waits for its writer.
	if info, err = os.Stat(path); err != nil {
		return nil, nil, fmt.Errorf("keyset file: %w", err)
	}
	if err := checkPrivate(path, info); err != nil {
		return nil, nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("keyset file: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	// And again, for the file that is read.
	if info, err = f.Stat(); err != nil {
		return nil, nil, fmt.Errorf("keyset file: %w", err)
	}
	if err := checkPrivate(path, info); err != nil {
		return nil, nil, err
	}
	if info.Size() > maxFile {
		return nil, nil, fmt.Errorf("keyset file %s is %d bytes long; at most %d", path, info.Size(), maxFile)
	}
	content = make([]byte, info.Size())
	if _, err := io.ReadFull(f, content); err != nil {
		clear(content)
		return nil, nil, fmt.Errorf("reading keyset file %s: %w", path, err)
	}
	return content, info, nil
}

func checkPrivate(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("keyset file %s is not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("keyset file %s has mode %04o, so that others than its owner can use the keys: chmod 600 %s "+
			"(a Kubernetes secret: defaultMode 0400)", path, mode, path)
	}
	return nil
}

// writeNew makes a file of mode 0600 that appears whole or not at all, even if the machine
// stops. link(2) gives a complete file its name and, unlike rename(2), fails if the name is
// taken.
func writeNew(path string, content []byte) error {
	return writeBeside(path, content, func(temporary string) error {
		if err := os.Link(temporary, path); err != nil {
			return err
		}
		return os.Remove(temporary)
	}, nil)
}

// replace puts content in the place of the file at path, with mode 0600 and the owner of old,
// the file that was read: a rotation by root must neither take the file from the proxy, nor
// give the keys to somebody who has put another file in its place meanwhile.
func replace(path string, content []byte, old fs.FileInfo) error {
	return writeBeside(path, content, func(temporary string) error {
		return os.Rename(temporary, path)
	}, func(f *os.File) error {
		return keepOwner(f, old)
	})
}

// writeBeside writes content under a temporary name in path's folder, calls name to give it the
// name path, and syncs the folder. prepare may be nil. The file is new (O_EXCL) and changed only
// through its descriptor, and neither link(2) nor rename(2) follows a link under the new name.
func writeBeside(path string, content []byte, name func(temporary string) error, prepare func(*os.File) error) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".keyset-*.tmp") // mode 0600
	if err != nil {
		return err
	}
	named := false
	defer func() {
		if !named {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(content)
	if err == nil && prepare != nil {
		err = prepare(f)
	}
	if err == nil {
		err = f.Chmod(0o600) // whatever the umask; after a change of the owner
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := name(f.Name()); err != nil {
		return err
	}
	named = true
	return syncDir(dir)
}

// syncDir makes a new name in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
