package commands

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// A bucket of unencrypted objects becomes an encrypted one while clients read all of it and write
// to some of it; the command is killed twice.
func TestABucketIsEncryptedInPlaceWhileItIsUsed(t *testing.T) {
	lab.TakesLong(t)
	onKeyed(t, func(k *keyed) {
		all := k.existing(k.raw())
		p := lab.Proxy(t, lab.ProxyOptions{Upstream: k.store, Args: []string{"--kms", k.kms, "--etag", "md5", "--allow-plaintext-reads"}})
		client := s3test.SDK(t, p.S3())
		args := []string{"encrypt-existing", "--json", "--allow-plaintext-reads", "--kms", k.kms, "s3://" + k.bucket}
		out, code, args := k.killedTwice(client, all, args)
		var first, again encryptResult
		if err := json.Unmarshal([]byte(lab.JSONLine(out)), &first); err != nil || code != 0 || !first.Off || first.Rewritten == 0 || first.Done == 0 {
			t.Fatalf("exit code %d, %v: %s", code, err, out)
		}
		t.Logf("beside the clients, after two kills: %s", lab.JSONLine(out))
		if out, code = lab.Command(t, k.store, args...); json.Unmarshal([]byte(lab.JSONLine(out)), &again) != nil || code != 0 || again.Rewritten != 0 {
			t.Errorf("a second run: exit code %d: %s", code, out)
		}
		if k.versioned() != (again.OldVersions > 0) {
			t.Errorf("%d old versions are still unencrypted", again.OldVersions)
		}
		if out, code := lab.Command(t, k.store, "keys", "verify", "--kms", k.kms, "--upstream", k.store.URL, "s3://"+k.bucket); code != 0 || !strings.Contains(out, " 0 objects not encrypted, 0 bad") {
			t.Errorf("keys verify: exit code %d: %s", code, out)
		}
		fresh := s3test.SDK(t, lab.Proxy(t, lab.ProxyOptions{Upstream: k.store, Args: []string{"--kms", k.kms, "--etag", "md5"}}).S3())
		for _, o := range all {
			if o.change != "" && !o.changed.Load() {
				t.Errorf("%s was never encrypted", o.key)
			}
			k.checkKept(fresh, o)
		}
	})
}

// encryptResult is the output of encrypt-existing --json.
type encryptResult struct {
	Objects, Rewritten, Done, Gone, Locked int
	Failed                                 reasons
	OldVersions                            int  `json:"old-versions-not-encrypted"`
	Off                                    bool `json:"allow-plaintext-reads-can-be-switched-off"`
}

// An object whose bytes rotted in the store does not become an encrypted object that authenticates.
// The command names objects that the store locks or the settings forbid.
func TestEncryptExistingLeavesWhatItCannotProve(t *testing.T) {
	if lab.Direct {
		t.Skip("there are no keys without the proxy")
	}
	k := &keyed{t: t, store: lab.SharedVersitygw(t), kms: "localfile://" + filepath.Join(t.TempDir(), "keyset.json")}
	k.command(0, "keys", "create")
	k.bucket = s3test.NewBucket(t, k.store.S3())
	raw := k.raw()
	for _, key := range []string{"good", "rotten"} {
		_, err := raw.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &k.bucket, Key: &key, Body: bytes.NewReader(s3test.Content(1, 10_000)), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32})
		if err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(k.store.Dir, k.bucket, "rotten")
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{body[5000] ^ 1}, 5000); err != nil {
		t.Fatal(err)
	}
	f.Close()
	args := []string{"encrypt-existing", "--json", "s3://" + k.bucket, "--kms", k.kms, "--upstream", k.store.URL}
	want := func(wantCode, rewritten, done int, more ...string) encryptResult {
		t.Helper()
		var got encryptResult
		out, code := lab.Command(t, k.store, slices.Concat(args, more)...)
		if err := json.Unmarshal([]byte(lab.JSONLine(out)), &got); err != nil || code != wantCode || got.Rewritten != rewritten || got.Done != done || got.Off {
			t.Errorf("exit code %d, %v: %s", code, err, out)
		}
		return got
	}
	want(0, 2, 0, "--dry-run")
	if got := want(1, 1, 0); !strings.Contains(got.Failed["rotten"], "did not match the calculated checksum") {
		t.Errorf("failed: %v", got.Failed)
	}
	body[5000] ^= 1
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, body) {
		t.Errorf("the rotten object was changed: %v", err)
	}
	want(1, 0, 1)
	if out, code := lab.Command(t, k.store, args...); code != 1 || !strings.Contains(out, "allow-plaintext-reads is not set") {
		t.Errorf("without allow-plaintext-reads: %s", out)
	}
	settings := filepath.Join(t.TempDir(), "s3proxy.yaml")
	if err := os.WriteFile(settings, []byte("buckets:\n  "+k.bucket+":\n    encrypt: false\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := lab.Command(t, k.store, append(args, "--config", settings)...); code != 1 || !strings.Contains(out, "configured without encryption") {
		t.Errorf("of a bucket without encryption: exit code %d: %s", code, out)
	}
}
