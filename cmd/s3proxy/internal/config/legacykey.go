package config

import (
	"fmt"
	"os"
)

// legacyKeys counts the ways in which the key of the older s3proxy is given.
func (s *Bucket) legacyKeys() (n int) {
	for _, given := range []string{s.LegacyKey, s.LegacyKeyFile, s.LegacyKeyEnv} {
		if given != "" {
			n++
		}
	}
	return n
}

// HasLegacyKey tells whether objects of the older s3proxy are read.
func (s *Bucket) HasLegacyKey() bool { return s.legacyKeys() > 0 }

// ReadLegacyKey gives the EncryptionKey that the bucket had in the older s3proxy, as that took it; ""
// if there is none.
func (s *Bucket) ReadLegacyKey() (string, error) {
	switch {
	case s.LegacyKeyFile != "":
		key, err := readSecretFile(s.LegacyKeyFile)
		if err != nil {
			return "", Usagef("legacy-key-file: %w", err)
		}
		return key, nil
	case s.LegacyKeyEnv != "":
		key := os.Getenv(s.LegacyKeyEnv)
		if key == "" {
			return "", UsageError{fmt.Errorf("legacy-key-env: %s is not set in the environment", s.LegacyKeyEnv)}
		}
		return key, nil
	}
	return s.LegacyKey, nil
}
