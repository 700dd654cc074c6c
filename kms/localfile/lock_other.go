//go:build !unix

package localfile

import (
	"errors"
	"os"
)

// Elsewhere a keyset file is read but not changed; see lock_unix.go.
func tryLock(*os.File) (bool, error) { return false, errors.ErrUnsupported }

func keepOwner(*os.File, string) error { return errors.ErrUnsupported }
