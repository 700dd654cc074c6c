// Package legacy proves that objects of the older s3proxy stay readable, and become objects of format
// 1. They are made by testdata/make.py, from their description, or by make_test.go here; those in
// testdata/written.json were written into a MinIO by the older program itself (alsarins 1.0.17).
package legacy

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

func TestMain(m *testing.M) { lab.Main(m) }

// oldHeader marks an object of the older program, among the names of user metadata.
const oldHeader = "s3proxy"

// oldBucket is a bucket of the older program.
type oldBucket struct {
	store  *lab.Store
	bucket string
	kms    string
	config string // the path of a configuration with the bucket's key
}

// newOldBucket makes an empty one. settings are further ones of the bucket, each a line.
func newOldBucket(t *testing.T, store *lab.Store, key string, settings ...string) *oldBucket {
	t.Helper()
	o := &oldBucket{store: store, bucket: s3test.NewBucket(t, store.S3())}
	o.kms, _ = lab.NewKeyset(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "legacy.key")
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.config = filepath.Join(dir, "config.yaml")
	text := fmt.Sprintf("buckets:\n  %s:\n    legacy-key-file: %s\n", o.bucket, file)
	for _, line := range settings {
		text += "    " + line + "\n"
	}
	if err := os.WriteFile(o.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return o
}

// proxy starts one with the bucket's key.
func (o *oldBucket) proxy(t *testing.T, args ...string) *lab.ProxyProcess {
	t.Helper()
	return lab.Proxy(t, lab.ProxyOptions{Upstream: o.store, Args: append([]string{"--kms", o.kms, "--config", o.config}, args...)})
}

func (o *oldBucket) path(key string) string { return "/" + o.bucket + "/" + key }

// put puts an object as the older program left it.
func (o *oldBucket) put(t *testing.T, key string, s s3test.Stored) {
	t.Helper()
	s3test.RawPut(t, o.store.S3(), o.path(key), s)
}

// golden is one of the objects in testdata.
type golden struct {
	File   string
	Key    string `json:"legacy-key"`
	Size   int
	Header string
	s3test.Stored
}

// goldens are the objects of each key.
func goldens(t *testing.T) map[string][]golden {
	t.Helper()
	var all []golden
	for _, list := range []string{"testdata/manifest.json", "testdata/written.json"} {
		raw, err := os.ReadFile(list)
		if err != nil {
			t.Fatal(err)
		}
		var more []golden
		if err := json.Unmarshal(raw, &more); err != nil {
			t.Fatal(err)
		}
		all = append(all, more...)
	}
	byKey := map[string][]golden{}
	for _, g := range all {
		body, err := os.ReadFile(filepath.Join("testdata", g.File))
		if err != nil {
			t.Fatal(err)
		}
		g.Stored = s3test.Stored{Body: body, Meta: map[string]string{oldHeader: g.Header}}
		byKey[g.Key] = append(byKey[g.Key], g)
	}
	return byKey
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// withBucket is the configuration with another bucket in it.
func (o *oldBucket) withBucket(t *testing.T, bucket, setting string) (path string) {
	t.Helper()
	text, err := os.ReadFile(o.config)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, fmt.Appendf(text, "  %s:\n    %s\n", bucket, setting), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
