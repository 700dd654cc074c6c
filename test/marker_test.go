package test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"testing"

	"golang.org/x/sys/unix"
)

const marker = "MARKER-that-must-not-reach-the-store-7f3a9c"

// findIn lists the files below a folder whose content, name or extended
// attributes hold one of the needles.
func findIn(t *testing.T, dir string, needles ...[]byte) (found []string) {
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
			return nil // gone since it was listed
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

// attributes are the values of a file's extended attributes, behind each other.
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

func TestNothingOfThePlaintextIsInTheStoresFolder(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		bucket := newBucket(t, at.S3)
		long := content(17, 3<<20)
		for position := 0; position+len(marker) < len(long); position += 100_003 {
			copy(long[position:], marker)
		}
		folder := "/" + bucket + "/"
		mustPut(t, at.S3, folder+"small", []byte(marker))
		mustPut(t, at.S3, folder+"long", long)
		if got := (call{method: http.MethodPut, path: folder + "stream", stream: &stream{shape: signedStreamTrailer, body: long}}).do(t, at.S3); got.status != 200 {
			t.Fatalf("PUT: %v", got)
		}
		if got := (call{method: http.MethodPut, path: folder + "text", body: bytes.Repeat([]byte(marker), 3000), headers: map[string]string{"content-type": "text/plain"}}).do(t, at.S3); got.status != 200 {
			t.Fatalf("PUT: %v", got)
		}
		// Uploads that failed leave nothing either.
		call{method: http.MethodPut, path: folder + "bad", body: long, payloadHash: hexSHA256(nil)}.do(t, at.S3)
		call{method: http.MethodPut, path: folder + "half", body: long, payloadHash: unsignedPayload, sendNow: 2 << 20}.do(t, at.S3)
		if got := get(t, at.S3, folder+"long"); sameBytes(got.body, long) != nil {
			t.Fatalf("read back: %v", got)
		}
		if found := findIn(t, at.dir, []byte(bucket)); len(found) == 0 {
			t.Fatalf("the search finds not even the bucket's name below %s", at.dir)
		}
		if found := findIn(t, at.dir, []byte(marker), []byte(hex.EncodeToString([]byte(marker))), []byte(base64.StdEncoding.EncodeToString([]byte(marker)))); len(found) > 0 {
			t.Errorf("the plaintext's marker is in %q", found)
		}
	})
}
