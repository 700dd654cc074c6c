//go:build !noembedded

package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/kms/localfile"
)

func TestAKeysetInTheEmbeddedStoresFolderIsRefused(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "store", "bucket")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	inside, outside := filepath.Join(folder, "keyset.json"), filepath.Join(dir, "keyset.json")
	for _, path := range []string{inside, outside} {
		if err := localfile.Create(path); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, name string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		file, kms string
		refused   bool
	}{
		"beside the store":            {"", outside, false},
		"in the store":                {"", inside, true},
		"a link into the store":       {"", link(inside, "linked.json"), true},
		"a link in the store":         {"", link(outside, "store/linked.json"), true},
		"under a name of the folder":  {"", link(filepath.Join(dir, "store"), "elsewhere") + "/bucket/keyset.json", true},
		"of one bucket, in the store": {"buckets:\n  photos: {kms: 'localfile://" + inside + "'}\n", outside, true},
		"to read, in the store":       {"kms-read: ['localfile://" + inside + "']\n", outside, true},
	} {
		loaded, err := load(t, c.file, "--data-dir", dir, "--kms", "localfile://"+c.kms)
		if err != nil {
			t.Fatal(err)
		}
		s, err := openStores(t.Context(), loaded, slog.New(slog.DiscardHandler))
		if err == nil {
			s.close()
		}
		if (err != nil) != c.refused || err != nil && !strings.Contains(err.Error(), "the embedded store's own folder") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
