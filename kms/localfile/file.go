package localfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/s3proxy/s3proxy/internal/secretfile"
)

// maxFile bounds what is read, in bytes: about 4,000 keys.
const maxFile = 1 << 20

// readPrivate reads a file that only those may use who may have its keys. info describes the
// file that was read.
func readPrivate(path string) (content []byte, info fs.FileInfo, err error) {
	if content, info, err = secretfile.Read(path, maxFile); err != nil {
		return nil, nil, fmt.Errorf("keyset file: %w", err)
	}
	return content, info, nil
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
