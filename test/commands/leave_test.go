package commands

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// The steps of docs/KEYS.md lead out: in the end aws-cli reads at the store what was written through
// s3proxy, nothing of s3proxy is left, and each run before has said that more is to be done.
func TestABucketLeavesS3proxyByTheDocumentedSteps(t *testing.T) {
	lab.TakesLong(t)
	k := onStore(t, lab.SharedVersitygw(t))
	cli, s3url := lab.NeedAWS(t, lab.Newest), "s3://"+k.bucket
	small, late, large := s3test.Content(1, 1000), s3test.Content(2, 2000), s3test.Content(3, 9*s3test.MiB)
	config := func(setting string) (args []string) {
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(path, []byte("buckets:\n  "+k.bucket+":\n    "+setting+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{"--config", path}
	}
	readable, off := config("allow-plaintext-reads: true"), config("encrypt: false")
	k.proxied(func(client *s3.Client) {
		k.put(client, "small", small)
		k.put(client, "a/large", large)
	})
	run := func(settings []string, want string) {
		t.Helper()
		if out := k.command(0, append([]string{"decrypt-existing", s3url}, settings...)...); !strings.Contains(out, want) {
			t.Errorf("with %v: %s", settings, out)
		}
	}
	k.proxied(func(client *s3.Client) {
		run(readable, "2 of 2 objects decrypted")
		s3test.WantObject(t, client, k.bucket, "a/large", large)
		k.put(client, "late", late)
		run(readable, "What clients write through s3proxy is encrypted until the bucket has encrypt: false")
	}, readable...)
	k.proxied(func(client *s3.Client) {
		for key, body := range map[string][]byte{"small": small, "late": late, "a/large": large} {
			s3test.WantObject(t, client, k.bucket, key, body)
		}
		k.put(client, "after", small)
		run(off, "the bucket does not need s3proxy any more")
	}, off...)
	aws := func(args ...string) string {
		t.Helper()
		out, err := lab.RunBoth(t, k.store.S3().Env("HOME="+t.TempDir()), cli, append(args, "--endpoint-url", k.store.URL)...)
		if err != nil {
			t.Fatalf("aws %v: %v: %s", args, err, out)
		}
		return out
	}
	aws("s3", "rm", "--recursive", s3url+"/.s3proxy/")
	down := t.TempDir()
	aws("s3", "sync", s3url, down)
	for key, body := range map[string][]byte{"small": small, "late": late, "after": small, "a/large": large} {
		if got, err := os.ReadFile(filepath.Join(down, key)); err != nil || s3test.SameBytes(got, body) != nil {
			t.Errorf("%s, read past s3proxy: %v", key, err)
		}
	}
	if left := s3test.KeysOf(t, k.store.S3(), k.bucket, ""); len(left) != 4 {
		t.Errorf("the bucket has %v", left)
	}
}
