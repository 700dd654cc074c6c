package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
)

// secretsOutsideStore refuses a keyset, or another file with secrets, in the folders of
// the embedded store: whatever gets past the checks of names reaches those.
func secretsOutsideStore(c *config.Config) error {
	files, err := c.SecretFiles()
	if err != nil {
		return err
	}
	for _, folder := range []string{storeRoot(c.DataDir), storeMetadata(c.DataDir)} {
		for _, file := range files {
			if file == "" {
				continue
			}
			inside, err := isBelow(file, folder)
			if err != nil {
				return fmt.Errorf("where is %s: %w", file, err)
			}
			if inside {
				return config.Usagef("%s is in the embedded store's own folder %s: keys and secrets must be out of the store's reach: move it, and name its new place", file, folder)
			}
		}
	}
	return nil
}

// isBelow tells whether a file, or what it is a link to, is below a folder, whatever
// both are called. A folder that is not there has nothing below it.
func isBelow(file, folder string) (bool, error) {
	info, err := os.Stat(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	file, err = filepath.Abs(file)
	if err != nil {
		return false, err
	}
	places := []string{file}
	if real, err := filepath.EvalSymlinks(file); err == nil {
		places = append(places, real)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	for _, place := range places {
		for up := filepath.Dir(place); ; up = filepath.Dir(up) {
			at, err := os.Stat(up)
			if err == nil && os.SameFile(at, info) {
				return true, nil
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return false, err
			}
			if up == filepath.Dir(up) {
				break
			}
		}
	}
	return false, nil
}
