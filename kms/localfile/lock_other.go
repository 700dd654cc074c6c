//go:build !unix

package localfile

import (
	"errors"
	"io/fs"
	"os"
)

// On other systems a keyset file can be read but not changed; see lock_unix.go.
func tryLock(*os.File) (bool, error) { return false, errors.ErrUnsupported }

func keepOwner(*os.File, fs.FileInfo) error { return errors.ErrUnsupported }

func openHistory(string) (*os.File, error) { return nil, errors.ErrUnsupported }

func openRegular(name string, flags int) (*os.File, error) { return os.OpenFile(name, flags, 0) }
