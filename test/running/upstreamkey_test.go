package running

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// A key made at the start, in a folder of the container, would be lost with the container, and with
// it everything written to a store that lives on.
func TestAnUpstreamWithoutANamedKeyIsRefusedAndNoKeyIsMade(t *testing.T) {
	store := lab.SharedVersitygw(t)
	bucket := s3test.NewBucket(t, store.S3())
	ofBucket := lab.PrivateFile(t, "buckets:\n  photos: {upstream: {url: '"+store.URL+"'}}\n")
	for name, args := range map[string][]string{
		"serve":              {"serve", "--listen", lab.FreeAddress(t), "--admin-listen", "", "--upstream", store.URL},
		"serve, of a bucket": {"serve", "--listen", lab.FreeAddress(t), "--admin-listen", "", "--config", ofBucket},
		"encrypt":            {"encrypt", lab.PrivateFile(t, "text"), "s3://" + bucket + "/k", "--upstream", store.URL},
		"decrypt":            {"decrypt", "s3://" + bucket + "/k", "-o", filepath.Join(t.TempDir(), "k"), "--upstream", store.URL},
		"encrypt-existing":   {"encrypt-existing", "s3://" + bucket, "--upstream", store.URL},
		"decrypt-existing":   {"decrypt-existing", "s3://" + bucket, "--upstream", store.URL, "--allow-plaintext-reads"},
		"keys rotate":        {"keys", "rotate", "--new-version", "s3://" + bucket, "--upstream", store.URL},
		"keys status":        {"keys", "status", "s3://" + bucket, "--upstream", store.URL},
		"keys verify":        {"keys", "verify", "s3://" + bucket, "--upstream", store.URL},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			out, code := lab.Command(t, store, append(args, "--data-dir", dir)...)
			if code != 2 || !strings.Contains(out, "s3proxy keys create --kms localfile:///") || strings.Count(out, "\n") != 1 {
				t.Errorf("exit code %d: %s", code, out)
			}
			if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 0 {
				t.Errorf("the start left %v (%v)", left, err)
			}
		})
	}
	t.Run("what needs no key runs without one", func(t *testing.T) {
		if out, code := lab.Command(t, store, "gc", "s3://"+bucket, "--upstream", store.URL); code != 0 {
			t.Errorf("gc: %d %s", code, out)
		}
		plain := lab.PrivateFile(t, "buckets:\n  photos: {encrypt: false, upstream: {url: '"+store.URL+"'}}\n")
		p := lab.Proxy(t, lab.ProxyOptions{Args: []string{"--config", plain}})
		if _, err := os.Stat(filepath.Join(p.DataDir, "keyset.json")); err != nil {
			t.Error("the embedded store has made no keyset:", err)
		}
	})
}
