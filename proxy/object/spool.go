package object

import (
	"errors"
	"os"
)

// UnnamedFile returns a temporary file without a name: it vanishes when it is closed or this
// process ends, however that happens.
func UnnamedFile(pattern string) (*os.File, error) {
	f, err := os.CreateTemp("", pattern)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
