package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// openInput opens a file to be read from its beginning, and gives its size in bytes. "-" is
// standard input; if that is a pipe, its content is kept in a file without a name.
func openInput(path string) (f *os.File, size int64, err error) {
	if path == "-" {
		f = os.Stdin
	} else if f, err = os.Open(path); err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	if info.IsDir() {
		return nil, 0, fmt.Errorf("%s is a folder", path)
	}
	if info.Mode().IsRegular() {
		if at, err := f.Seek(0, io.SeekCurrent); err == nil && at == 0 {
			return f, info.Size(), nil
		}
	}
	kept, err := os.CreateTemp("", "s3proxy-*.tmp") // mode 0600
	if err != nil {
		return nil, 0, err
	}
	if err := os.Remove(kept.Name()); err != nil {
		return nil, 0, err
	}
	if size, err = io.Copy(kept, f); err == nil {
		_, err = kept.Seek(0, io.SeekStart)
	}
	return kept, size, err
}

// output is a file that gets its name only when it is complete. "-" is standard output,
// where nothing can be taken back.
type output struct {
	*os.File
	path  string // "" for standard output
	force bool
}

// createOutput begins a file of mode 0600. It replaces an existing file only with force.
func createOutput(path string, force bool) (*output, error) {
	if path == "-" {
		return &output{File: os.Stdout}, nil
	}
	if _, err := os.Lstat(path); err == nil && !force {
		return nil, fmt.Errorf("%s is there already: --force replaces it", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*.tmp")
	if err != nil {
		return nil, err
	}
	return &output{File: f, path: path, force: force}, nil
}

// finish gives the file its name.
func (o *output) finish() error {
	if o.path == "" {
		return nil
	}
	if err := errors.Join(o.Sync(), o.Close()); err != nil {
		return err
	}
	if o.force {
		return os.Rename(o.Name(), o.path)
	}
	err := os.Link(o.Name(), o.path)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: --force replaces it", o.path)
	}
	if err != nil { // a file system without links
		if _, there := os.Lstat(o.path); there == nil {
			return fmt.Errorf("%s is there already: --force replaces it", o.path)
		}
		return os.Rename(o.Name(), o.path)
	}
	return nil
}

// discard removes what has no name yet; after finish it removes only the temporary name.
func (o *output) discard() {
	if o.path != "" {
		o.Close()
		os.Remove(o.Name())
	}
}

// ensureDir makes a private folder.
func ensureDir(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("make the folder %s: %w", path, err)
	}
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = errors.New("it is not a folder")
	}
	if err != nil {
		return fmt.Errorf("the folder %s: %w", path, err)
	}
	return nil
}

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
