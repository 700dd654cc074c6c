package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestALegacyKeyIsReadFromOnePlace(t *testing.T) {
	clean(t)
	dir := t.TempDir()
	secret := filepath.Join(dir, "legacy.key")
	if err := os.WriteFile(secret, []byte("0123456789ABCDEF\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(dir, "open.key")
	if err := os.WriteFile(open, []byte("0123456789ABCDEF\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OLD_KEY", "0123456789ABCDEF")
	for settings, want := range map[string]string{ // an error begins with !
		"legacy-key: 0123456789ABCDEF":                "0123456789ABCDEF",
		"legacy-key-file: " + secret:                  "0123456789ABCDEF",
		"legacy-key-env: OLD_KEY":                     "0123456789ABCDEF",
		"etag: md5":                                   "",
		"legacy-key-file: " + open:                    "!chmod 600",
		"legacy-key-file: legacy.key":                 "!legacy-key-file: legacy.key is not an absolute path",
		"legacy-key-env: NOT_SET":                     "!legacy-key-env: NOT_SET is not set in the environment",
		"legacy-key: a\n    legacy-key-env: OLD_KEY":  "!give one of legacy-key, legacy-key-file and legacy-key-env",
		"legacy-key-env: OLD_KEY\n    encrypt: false": "!legacy-key have no effect",
		"legacy_key: 0123456789ABCDEF":                "!legacy_key is not a setting here: did you mean legacy-key?",
	} {
		c, err := load(t, "buckets:\n  old:\n    "+settings+"\n")
		got := ""
		if err == nil {
			set := c.Buckets["old"]
			got, err = set.ReadLegacyKey()
		}
		if refusal, refused := strings.CutPrefix(want, "!"); refused {
			if err == nil || !strings.Contains(err.Error(), refusal) || strings.Contains(err.Error(), "0123456789ABCDEF") {
				t.Errorf("%s: %v", settings, err)
			}
		} else if err != nil || got != want {
			t.Errorf("%s: %q, %v", settings, got, err)
		}
	}
}

func TestAFileWithALegacyKeyIsPrivate(t *testing.T) {
	clean(t)
	for settings, private := range map[string]bool{"legacy-key: 0123456789ABCDEF": true, "legacy-key-env: OLD_KEY": false} {
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(path, []byte("buckets:\n  old:\n    "+settings+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := readConfigFile(path); (err != nil) != private {
			t.Errorf("%s: %v", settings, err)
		}
	}
}
