//go:build !noembedded

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
)

// secretsOutsideStore refuses a keyset, or another file with secrets, in the folders of the
// embedded store: a name that gets past all checks could reach it there.
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
				return fmt.Errorf("find out where %s is: %w", file, err)
			}
			if inside {
				return config.Usagef("%s is in the embedded store's own folder %s: move it elsewhere, since keys and secrets must be out of the store's reach, and change the setting that names it", file, folder)
			}
		}
	}
	return nil
}

// isBelow tells whether a file, or the target of a link, is below a folder, by whatever path
// either is named. Nothing is below a folder that does not exist.
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
