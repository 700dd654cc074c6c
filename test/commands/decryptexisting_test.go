package commands

import (
	"bytes"
	"crypto/md5"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// decryptResult is the output of decrypt-existing --json.
type decryptResult struct {
	Objects, Rewritten, Done, Gone, Locked, Uploads int
	Failed                                          reasons
	OldVersions                                     int  `json:"old-versions-encrypted"`
	Plain                                           bool `json:"all-is-plaintext"`
	Off                                             bool `json:"encrypt-is-off"`
}

// ofParts is an object uploaded in parts, with a checksum of some type.
type ofParts struct {
	key       string
	algorithm types.ChecksumAlgorithm
	kind      types.ChecksumType
	sizes     []int
}

func uploadedInParts() []ofParts {
	return []ofParts{
		{"sent/whole", types.ChecksumAlgorithmCrc32, types.ChecksumTypeFullObject, []int{5 * s3test.MiB, 6 * s3test.MiB, 1000}},
		{"sent/each", types.ChecksumAlgorithmSha256, types.ChecksumTypeComposite, []int{5 * s3test.MiB, 1}},
		{"sent/one", types.ChecksumAlgorithmCrc64nvme, types.ChecksumTypeFullObject, []int{70_000}},
	}
}

func (o ofParts) bodies() (bodies [][]byte) {
	for i, size := range o.sizes {
		bodies = append(bodies, s3test.Content(uint64(40+i), size))
	}
	return bodies
}

// plainETag is S3's ETag of an unencrypted object.
func plainETag(parts [][]byte) string {
	sum := md5.New()
	for _, part := range parts {
		one := md5.Sum(part)
		sum.Write(one[:])
	}
	return fmt.Sprintf(`"%x-%d"`, sum.Sum(nil), len(parts))
}

// An encrypted bucket becomes a plaintext one while clients read all of it and write to some of it;
// the command is killed twice. In the end, any client of the store reads what was written through
// s3proxy, with the ETags and checksums that a store without s3proxy would have made.
func TestABucketIsDecryptedInPlaceWhileItIsUsed(t *testing.T) {
	lab.TakesLong(t)
	for _, mode := range []string{"md5", "opaque"} {
		t.Run(mode, func(t *testing.T) {
			onKeyed(t, func(k *keyed) {
				p := lab.Proxy(t, lab.ProxyOptions{Upstream: k.store, Args: []string{"--kms", k.kms, "--etag", mode, "--allow-plaintext-reads"}})
				client := s3test.SDK(k.t, p.S3())
				all := k.existing(client)
				for _, o := range uploadedInParts() {
					in := &s3.CreateMultipartUploadInput{Bucket: &k.bucket, Key: &o.key, ChecksumAlgorithm: o.algorithm, ChecksumType: o.kind, Metadata: map[string]string{"color": "red"}}
					if err := s3test.PutParts(k.t.Context(), client, in, o.bodies()); err != nil {
						k.t.Fatalf("%s: %v", o.key, err)
					}
				}
				large := s3test.Content(50, 9*s3test.MiB) // more than the command reads before it writes
				k.put(client, "large", large)
				args := []string{"decrypt-existing", "--json", "--allow-plaintext-reads", "--kms", k.kms, "s3://" + k.bucket}
				out, code, args := k.killedTwice(client, all, args)
				var first, again decryptResult
				if err := json.Unmarshal([]byte(lab.JSONLine(out)), &first); err != nil || code != 0 || !first.Plain || first.Off || first.Rewritten == 0 || first.Done == 0 {
					k.t.Fatalf("exit code %d, %v: %s", code, err, out)
				}
				k.t.Logf("beside the clients, after two kills: %s", lab.JSONLine(out))
				if out, code = lab.Command(k.t, k.store, args...); json.Unmarshal([]byte(lab.JSONLine(out)), &again) != nil || code != 0 || again.Rewritten != 0 {
					k.t.Errorf("a second run: exit code %d: %s", code, out)
				}
				if k.versioned() != (again.OldVersions > 0) {
					k.t.Errorf("%d old versions are still encrypted", again.OldVersions)
				}
				k.checkPlain(all, large)
			})
		})
	}
}

// checkPlain reads the decrypted objects directly from the store.
func (k *keyed) checkPlain(all []*existing, large []byte) {
	t, raw := k.t, k.raw()
	t.Helper()
	for _, o := range all {
		if o.change != "" && !o.changed.Load() {
			t.Errorf("%s was never decrypted", o.key)
		}
		k.checkKept(raw, o)
		if o.change == "" && o.key != "parts" {
			if head, _ := k.headAndTags(raw, o.key); aws.ToString(head.ETag) != s3test.MD5ETag(o.body) {
				t.Errorf("%s has the ETag %s, which is not its MD5", o.key, aws.ToString(head.ETag))
			}
		}
	}
	s3test.WantObject(t, raw, k.bucket, "large", large)
	for _, o := range uploadedInParts() {
		s3test.WantObject(t, raw, k.bucket, o.key, o.bodies()...)
		head, _ := k.headAndTags(raw, o.key)
		if aws.ToString(head.ETag) != plainETag(o.bodies()) || head.Metadata["color"] != "red" {
			t.Errorf("%s: ETag %s, not %s; metadata %v", o.key, aws.ToString(head.ETag), plainETag(o.bodies()), head.Metadata)
		}
		got := map[types.ChecksumAlgorithm]*string{types.ChecksumAlgorithmCrc32: head.ChecksumCRC32, types.ChecksumAlgorithmSha256: head.ChecksumSHA256, types.ChecksumAlgorithmCrc64nvme: head.ChecksumCRC64NVME}
		if aws.ToString(got[o.algorithm]) == "" || head.ChecksumType != o.kind {
			t.Errorf("%s: checksums %v of type %q", o.key, slices.Sorted(maps.Keys(got)), head.ChecksumType)
		}
	}
	for _, key := range s3test.KeysOf(t, k.store.S3(), k.bucket, "") {
		head, err := raw.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &k.bucket, Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		for name := range head.Metadata {
			if strings.HasPrefix(name, "s3proxy-") && !strings.HasPrefix(key, ".s3proxy/") {
				t.Errorf("%s has still the metadata %s", key, name)
			}
		}
	}
}

// decrypt-existing does not decrypt what the store has changed: it names the object and leaves it
// alone. Nothing begins before clients may read plaintext.
func TestDecryptExistingLeavesWhatItCannotProve(t *testing.T) {
	k := onStore(t, lab.SharedVersitygw(t))
	raw, small, large := k.raw(), s3test.Content(1, 100_000), s3test.Content(2, 9*s3test.MiB)
	parts := [][]byte{s3test.Content(3, 5*s3test.MiB), s3test.Content(4, 5*s3test.MiB)}
	var waiting *s3test.Upload
	k.proxied(func(client *s3.Client) {
		for _, key := range []string{"good", "forged", "short", "moved"} {
			k.put(client, key, small)
		}
		k.put(client, "large", large)
		for _, key := range []string{"parts", "parts-short"} {
			if err := s3test.PutParts(t.Context(), client, &s3.CreateMultipartUploadInput{Bucket: &k.bucket, Key: &key}, parts); err != nil {
				t.Fatal(err)
			}
		}
		waiting = s3test.Begin(t, client, k.bucket, "waiting")
		waiting.Send(client, 1, small)
	})
	at := func(key string) string { return filepath.Join(k.store.Dir, k.bucket, key) }
	read := func(key string) []byte {
		body, err := os.ReadFile(at(key))
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	// Changed in place, because versitygw keeps metadata with the file.
	for _, key := range []string{"forged", "large", "parts"} {
		flipByte(t, at(key), int64(len(read(key))*2/3))
	}
	for _, key := range []string{"short", "parts-short"} {
		if err := os.Truncate(at(key), int64(len(read(key)))-1000); err != nil {
			t.Fatal(err)
		}
	}
	// The store serves one object under the name of another.
	moved := s3test.RawGet(t, k.store.S3(), "/"+k.bucket+"/good")
	s3test.RawPut(t, k.store.S3(), "/"+k.bucket+"/moved", moved)
	// An object of the older s3proxy has no metadata of ours, and is no plaintext for that.
	s3test.RawPut(t, k.store.S3(), "/"+k.bucket+"/old", s3test.Stored{Body: small, Meta: map[string]string{"s3proxy": "00"}})
	bad := []string{"forged", "large", "moved", "old", "parts", "parts-short", "short"}
	before := map[string][]byte{}
	for _, key := range bad {
		before[key] = read(key)
	}
	run := func(wantCode, rewritten int, more ...string) (got decryptResult, out string) {
		t.Helper()
		out, code := lab.Command(t, k.store, append([]string{"decrypt-existing", "--json", "s3://" + k.bucket, "--kms", k.kms, "--upstream", k.store.URL}, more...)...)
		err := json.Unmarshal([]byte(lab.JSONLine(out)), &got)
		if code != wantCode || wantCode != 2 && (err != nil || got.Rewritten != rewritten || got.Plain) {
			t.Errorf("%v: exit code %d, %v: %s", more, code, err, out)
		}
		return got, out
	}
	if _, out := run(2, 0); !strings.Contains(out, "set allow-plaintext-reads for the bucket") {
		t.Errorf("of a bucket whose proxies refuse plaintext: %s", out)
	}
	if body := read("good"); bytes.Equal(body, small) {
		t.Fatal("decryption has begun anyway")
	}
	run(1, 7, "--dry-run")
	got, _ := run(1, 1, "--allow-plaintext-reads")
	if keys := slices.Sorted(maps.Keys(got.Failed)); !slices.Equal(keys, bad) || got.Uploads != 1 {
		t.Errorf("failed: %v; uploads %d", got.Failed, got.Uploads)
	}
	for _, key := range bad {
		if !bytes.Equal(read(key), before[key]) {
			t.Errorf("%s was changed", key)
		}
	}
	if body := read("good"); !bytes.Equal(body, small) {
		t.Error("what is good was not decrypted")
	}
	uploads, err := raw.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &k.bucket})
	if err != nil || len(uploads.Uploads) != 1 {
		t.Errorf("plaintext is left behind in uploads: %v %v", uploads, err)
	}
	// If proxies write plaintext, the command goes on.
	settings := filepath.Join(t.TempDir(), "s3proxy.yaml")
	if err := os.WriteFile(settings, []byte("buckets:\n  "+k.bucket+":\n    encrypt: false\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, out := run(1, 0, "--config", settings); !got.Off {
		t.Errorf("with encrypt: false: %s", out)
	}
}

func flipByte(t *testing.T, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}
