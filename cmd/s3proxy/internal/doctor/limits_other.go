//go:build !(linux || darwin || freebsd)

package doctor

import (
	"errors"
	"os"
)

func freeBytes(*os.File) (uint64, error) { return 0, errors.ErrUnsupported }

func mayOpen() (uint64, error) { return 0, errors.ErrUnsupported }
