package lab

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// PrivateFile makes a file that only its owner can read.
func PrivateFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// NewKeyset makes a keyset with the command that users run.
func NewKeyset(t *testing.T) (uri, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "keyset.json")
	uri = "localfile://" + path
	if out, err := RunS3proxy(t, "keys", "create", "--kms", uri); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return uri, path
}

// KeysetIn returns the file in the data folder that holds the Tink keyset.
func KeysetIn(t *testing.T, dir string) string {
	t.Helper()
	found := FindIn(t, dir, []byte("primaryKeyId"))
	if len(found) != 1 {
		t.Fatalf("keysets below the data folder: %q, want one", found)
	}
	return found[0]
}

// FindIn lists the files below a folder whose content, name or extended attributes contain one
// of the needles.
func FindIn(t *testing.T, dir string, needles ...[]byte) (found []string) {
	t.Helper()
	has := func(b []byte) bool {
		for _, n := range needles {
			if bytes.Contains(b, n) {
				return true
			}
		}
		return false
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // removed since it was listed
		}
		if has([]byte(path)) || has(attributes(path)) {
			found = append(found, path)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(path)
		if err == nil && has(b) {
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// attributes returns the values of a file's extended attributes, concatenated.
func attributes(path string) (all []byte) {
	names := make([]byte, 16<<10)
	n, err := unix.Listxattr(path, names)
	if err != nil {
		return nil
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(names[:n]), "\x00"), "\x00") {
		value := make([]byte, 64<<10)
		if n, err := unix.Getxattr(path, name, value); err == nil {
			all = append(all, value[:n]...)
		}
	}
	return all
}
