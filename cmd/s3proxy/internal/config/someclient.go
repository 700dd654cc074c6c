package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// SomeClient gives the key of a client, for a look at a proxy from outside: that of the
// environment, the first of those that are configured, or the data folder's. It makes none; the
// ID is "" if there is none. All that are configured are read.
func (c *Config) SomeClient() (key ClientKey, count int, err error) {
	if c.Auth == AuthNone {
		return key, 0, nil
	}
	all, _, err := c.clients()
	if err != nil {
		return key, 0, err
	}
	for _, one := range all {
		credential, err := one.read()
		if err != nil {
			return key, 0, Usagef("%s: %w", one.where, err)
		}
		if key.ID == "" && credential.Secret != "" {
			key = ClientKey{ID: one.AccessKeyID, Secret: credential.Secret}
		}
	}
	count = len(all)
	own := os.Getenv(EnvAccessKey) != ""
	if !own && count == 0 && c.DataDir != "" {
		_, err := os.Stat(filepath.Join(c.DataDir, "credentials"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return key, 0, err
		}
		own = err == nil
	}
	if own {
		if key, err = loadClientKey(c); err != nil {
			return key, 0, err
		}
		count++
	}
	return key, count, nil
}
