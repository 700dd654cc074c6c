package commands

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/localfile"
	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// offline runs encrypt and decrypt with a store and a key; no proxy needs to run.
type offline struct {
	store  *lab.Store
	uri    string
	keyset string
}

func newOffline(t *testing.T, store *lab.Store) offline {
	uri, keyset := lab.NewKeyset(t)
	return offline{store, uri, keyset}
}

func (o offline) proxy(t *testing.T) lab.S3 {
	return lab.Proxy(t, lab.ProxyOptions{Upstream: o.store, Args: []string{"--kms", o.uri}}).S3()
}

// run returns what the command printed, both outputs together.
func (o offline) run(t *testing.T, args ...string) (string, int) {
	t.Helper()
	return lab.Command(t, o.store, append(args, "--kms", o.uri, "--upstream", o.store.URL)...)
}

func (o offline) must(t *testing.T, args ...string) {
	t.Helper()
	if out, code := o.run(t, args...); code != 0 || out != "" {
		t.Fatalf("%v: exit code %d: %s", args, code, out)
	}
}

// decrypts fails unless the command writes exactly want to a private file.
func (o offline) decrypts(t *testing.T, want []byte, args ...string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "out")
	o.must(t, append([]string{"decrypt", "-o", file}, args...)...)
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := s3test.SameBytes(got, want); err != nil {
		t.Errorf("%v: %v", args, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v: mode %v, %v", args, info.Mode(), err)
	}
}

// refuses fails unless the command ends with an error that contains text, and leaves nothing
// behind.
func (o offline) refuses(t *testing.T, text string, args ...string) {
	t.Helper()
	dir := t.TempDir()
	out, code := o.run(t, append([]string{"decrypt", "-o", filepath.Join(dir, "out")}, args...)...)
	if code != 1 || !strings.Contains(out, text) || strings.Count(strings.TrimSpace(out), "\n") != 0 {
		t.Errorf("%v: exit code %d, want one line with %q: %s", args, code, text, out)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 0 {
		t.Errorf("%v: it left %q", args, left)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*.tmp")); len(left) != 0 {
		t.Errorf("%v: it left %q", args, left)
	}
}

func TestWhatTheProxyWroteDecryptsWithoutIt(t *testing.T) {
	for _, name := range []string{lab.OnVersitygw, lab.OnMinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffline(t, lab.Open(t, name).Store)
			at := o.proxy(t)
			bucket := s3test.NewBucket(t, at)
			for _, n := range []int{0, 1, 65_536, 65_537, 3_000_000} {
				body := s3test.Content(uint64(n), n)
				s3test.MustPut(t, at, "/"+bucket+"/k", body)
				o.decrypts(t, body, "s3://"+bucket+"/k")
			}
			s3test.MustPut(t, at, "/"+bucket+"/folder/", nil)
			o.decrypts(t, nil, "s3://"+bucket+"/folder/")

			sizes := []int{5 << 20, 6<<20 + 17, 70_000}
			plain := s3test.Content(7, 5<<20+6<<20+17+70_000)
			fields, body := s3test.SealMultipart(t, o.keyset, bucket, "parts", sizes, slices.Clone(plain), false)
			s3test.RawPut(t, o.store.S3(), "/"+bucket+"/parts", s3test.Stored{Body: body, Meta: fields})
			o.decrypts(t, plain, "s3://"+bucket+"/parts")
		})
	}
}

func TestDecryptTakesTheVersionThatIsAskedFor(t *testing.T) {
	t.Parallel()
	o := newOffline(t, lab.SharedMinIO(t))
	at := o.proxy(t)
	bucket := s3test.NewBucket(t, at)
	if _, err := s3test.SDK(t, o.store.S3()).PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket: &bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	}); err != nil {
		t.Fatal(err)
	}
	var versions []string
	for n := range 2 {
		plain := s3test.Content(uint64(n), 5<<20+100_000)
		fields, body := s3test.SealMultipart(t, o.keyset, bucket, "k", []int{5 << 20, 100_000}, slices.Clone(plain), false)
		out, err := s3test.SDK(t, o.store.S3()).PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("k"), Body: bytes.NewReader(body), Metadata: fields})
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, *out.VersionId)
	}
	for n, version := range versions {
		o.decrypts(t, s3test.Content(uint64(n), 5<<20+100_000), "s3://"+bucket+"/k", "--version-id", version)
	}
	o.decrypts(t, s3test.Content(1, 5<<20+100_000), "s3://"+bucket+"/k")
}

func TestADamagedObjectLeavesNoFile(t *testing.T) {
	t.Parallel()
	o := newOffline(t, lab.SharedVersitygw(t))
	at := o.proxy(t)
	bucket := s3test.NewBucket(t, at)
	const n = 200_000
	s3test.MustPut(t, at, "/"+bucket+"/k", s3test.Content(1, n))
	s3test.MustPut(t, at, "/"+bucket+"/other", s3test.Content(2, n))
	good, other := s3test.RawGet(t, o.store.S3(), "/"+bucket+"/k"), s3test.RawGet(t, o.store.S3(), "/"+bucket+"/other")
	segment := 64<<10 + 28
	for _, c := range []struct {
		what string
		bad  s3test.Stored
		text string
	}{
		{"segment 0", s3test.Stored{Body: s3test.Flipped(good.Body, 100), Meta: good.Meta}, "segment 0"},
		{"segment 2", s3test.Stored{Body: s3test.Flipped(good.Body, 2*segment+100), Meta: good.Meta}, "segment 2"},
		{"the last segment", s3test.Stored{Body: s3test.Flipped(good.Body, 3*segment+100), Meta: good.Meta}, "segment 3"},
		{"the trailer", s3test.Stored{Body: s3test.Flipped(good.Body, len(good.Body)-20), Meta: good.Meta}, "does not decrypt"},
		{"cut", s3test.Stored{Body: good.Body[:len(good.Body)-1], Meta: good.Meta}, "200527 stored bytes"},
		{"the other's bytes", s3test.Stored{Body: other.Body, Meta: good.Meta}, "segment 0"},
		{"the other whole", other, "key"},
		{"plaintext", s3test.Stored{Body: s3test.Content(3, 1000), Meta: nil}, "not an object of s3proxy"},
	} {
		s3test.RawPut(t, o.store.S3(), "/"+bucket+"/k", c.bad)
		o.refuses(t, c.text, "s3://"+bucket+"/k")
	}
	o.refuses(t, "not exist", "s3://"+bucket+"/absent")
	other2, _ := lab.NewKeyset(t)
	s3test.RawPut(t, o.store.S3(), "/"+bucket+"/k", good)
	offline{o.store, other2, ""}.refuses(t, "key", "s3://"+bucket+"/k")
}

func TestTheEmbeddedStoreIsReadAndWrittenWithPathsOfTheCaller(t *testing.T) {
	t.Parallel()
	data, here, body := t.TempDir(), t.TempDir(), s3test.Content(1, 100_000)
	proxy := lab.Proxy(t, lab.ProxyOptions{DataDir: data})
	bucket := s3test.NewBucket(t, proxy.S3())
	proxy.Term()
	proxy.Wait(lab.AnswerWithin)
	if err := os.WriteFile(filepath.Join(here, "in"), body, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"encrypt", "in", "s3://" + bucket + "/k"}, {"decrypt", "s3://" + bucket + "/k", "-o", "out"}} {
		cmd := exec.Command(lab.S3proxy(t), append(args, "--data-dir", data)...)
		cmd.Env, cmd.Dir = lab.Env("HOME="+t.TempDir()), here
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	if got, err := os.ReadFile(filepath.Join(here, "out")); err != nil || !bytes.Equal(got, body) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestNoFileIsReplacedWithoutForce(t *testing.T) {
	t.Parallel()
	o := newOffline(t, lab.SharedVersitygw(t))
	bucket := s3test.NewBucket(t, o.store.S3())
	in, body := filepath.Join(t.TempDir(), "in"), s3test.Content(1, 1000)
	if err := os.WriteFile(in, body, 0o600); err != nil {
		t.Fatal(err)
	}
	object := "s3://" + bucket + "/k"
	o.must(t, "encrypt", in, object)
	mine := lab.PrivateFile(t, "mine")
	if out, code := o.run(t, "decrypt", object, "-o", mine); code != 1 || !strings.Contains(out, "--force") {
		t.Errorf("exit code %d: %s", code, out)
	}
	if kept, err := os.ReadFile(mine); err != nil || string(kept) != "mine" {
		t.Errorf("the file holds %q, %v", kept, err)
	}
	o.must(t, "decrypt", object, "-o", mine, "--force")
	if got, err := os.ReadFile(mine); err != nil || !bytes.Equal(got, body) {
		t.Errorf("with force: %d bytes, %v", len(got), err)
	}
	if out, code := o.run(t, "encrypt", mine, object); code != 1 || !strings.Contains(out, "condition") {
		t.Errorf("an object replaced: exit code %d: %s", code, out)
	}
	o.must(t, "encrypt", mine, object, "--force")
}

func TestWhatEncryptWritesReadsThroughTheProxy(t *testing.T) {
	for _, name := range []string{lab.OnVersitygw, lab.OnMinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffline(t, lab.Open(t, name).Store)
			at := o.proxy(t)
			bucket := s3test.NewBucket(t, at)
			for _, n := range []int{0, 1000, 3_000_000} {
				body := s3test.Content(uint64(n), n)
				key := fmt.Sprintf("k/%d ü", n)
				o.must(t, "encrypt", lab.PrivateFile(t, string(body)), "s3://"+bucket+"/"+key, "--content-type", "text/x-own", "--user-metadata", "Colour=blue,size=big")
				out := s3test.MustGet(t, at, bucket, key, body)
				if aws.ToString(out.ContentType) != "text/x-own" || out.Metadata["colour"] != "blue" || out.Metadata["size"] != "big" || len(out.Metadata) != 2 {
					t.Errorf("%s: type %s, metadata %v", key, aws.ToString(out.ContentType), out.Metadata)
				}
			}
			if n := s3test.Records(t, o.store.S3(), bucket); n != 0 {
				t.Errorf("%d window records were made", n)
			}
		})
	}
}

func TestPipesWorkOnBothSides(t *testing.T) {
	t.Parallel()
	o := newOffline(t, lab.SharedVersitygw(t))
	bucket := s3test.NewBucket(t, o.store.S3())
	body := s3test.Content(9, 300_000)
	run := func(in []byte, args ...string) []byte {
		cmd := exec.Command(lab.S3proxy(t), append(args, "--kms", o.uri, "--upstream", o.store.URL)...)
		cmd.Env = lab.Env("HOME="+t.TempDir(), "AWS_ACCESS_KEY_ID="+o.store.AccessKey, "AWS_SECRET_ACCESS_KEY="+o.store.SecretKey)
		cmd.Stdin = bytes.NewReader(in)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return out
	}
	run(body, "encrypt", "-", "s3://"+bucket+"/k")
	if err := s3test.SameBytes(run(nil, "decrypt", "s3://"+bucket+"/k", "-o", "-"), body); err != nil {
		t.Error(err)
	}
	metadata := filepath.Join(t.TempDir(), "m.json")
	of := []string{"--metadata", metadata, "--bucket", bucket, "--key", "k2"}
	sealed := run(body, append([]string{"encrypt", "-", "-o", "-"}, of...)...)
	if err := s3test.SameBytes(run(sealed, append([]string{"decrypt", "-", "-o", "-"}, of...)...), body); err != nil {
		t.Error(err)
	}
}

// Disaster recovery needs only a foreign client, the key and this program.
func TestRawBytesThatAnotherToolFetchedDecrypt(t *testing.T) {
	cli := lab.Need(t, "aws")
	t.Parallel()
	store := lab.SharedMinIO(t)
	o := newOffline(t, store)
	at := o.proxy(t)
	bucket, dir, body := s3test.NewBucket(t, at), t.TempDir(), s3test.Content(4, 150_000)
	s3test.MustPut(t, at, "/"+bucket+"/a/key", body)
	sizes := []int{5 << 20, 70_000}
	plain := s3test.Content(7, 5<<20+70_000)
	fields, multipart := s3test.SealMultipart(t, o.keyset, bucket, "parts", sizes, slices.Clone(plain), false)
	s3test.RawPut(t, store.S3(), "/"+bucket+"/parts", s3test.Stored{Body: multipart, Meta: fields})

	for key, want := range map[string][]byte{"a/key": body, "parts": plain} {
		raw, got, head := filepath.Join(dir, "raw"), filepath.Join(dir, "get.json"), filepath.Join(dir, "head.json")
		for file, args := range map[string][]string{got: {"get-object", "--bucket", bucket, "--key", key, raw}, head: {"head-object", "--bucket", bucket, "--key", key}} {
			cmd := exec.Command(cli, append([]string{"--endpoint-url", store.URL, "--output", "json", "s3api"}, args...)...)
			cmd.Env = store.S3().Env()
			printed, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, printed, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, metadata := range []string{got, head} {
			of := []string{raw, "--metadata", metadata, "--bucket", bucket, "--key"}
			file := filepath.Join(t.TempDir(), "out")
			// Without any store.
			if out, err := lab.RunS3proxy(t, append([]string{"decrypt", "-o", file, "--kms", o.uri}, append(of, key)...)...); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			plain, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := s3test.SameBytes(plain, want); err != nil {
				t.Error(err)
			}
			o.refuses(t, "key", append(slices.Clone(of), "another")...)
		}
		// Damaged in transit.
		bytesOf, err := os.ReadFile(raw)
		if err != nil {
			t.Fatal(err)
		}
		bad := lab.PrivateFile(t, string(s3test.Flipped(bytesOf, 64<<10+28+5)))
		o.refuses(t, "segment 1", bad, "--metadata", got, "--bucket", bucket, "--key", key)
	}
}

func TestDecryptPyAndTheProxyReadWhatEncryptWroteIntoFiles(t *testing.T) {
	needPython(t)
	cli := lab.Need(t, "aws")
	t.Parallel()
	o := newOffline(t, lab.SharedVersitygw(t))
	at := o.proxy(t)
	bucket, dir := s3test.NewBucket(t, at), t.TempDir()
	for n, key := range map[int]string{0: "empty", 100_000: "some"} {
		body := s3test.Content(3, n)
		raw, metadata := filepath.Join(dir, key), filepath.Join(dir, key+".json")
		if out, err := lab.RunS3proxy(t, "encrypt", lab.PrivateFile(t, string(body)), "-o", raw, "--metadata", metadata, "--bucket", bucket, "--key", key, "--user-metadata", "colour=blue", "--kms", o.uri); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		text, err := os.ReadFile(metadata)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]string
		if err := json.Unmarshal(text, &fields); err != nil {
			t.Fatal(err)
		}
		plain, err := decrypt(t, fields, raw, "--key", dataKey(t, o.keyset, bucket, key, fields))
		if err != nil {
			t.Fatal(err)
		}
		if err := s3test.SameBytes(plain, body); err != nil {
			t.Error(err)
		}
		lab.MustRun(t, o.store.S3().Env(), cli, "--endpoint-url", o.store.URL, "s3api", "put-object", "--bucket", bucket, "--key", key, "--body", raw, "--metadata", "file://"+metadata)
		if out := s3test.MustGet(t, at, bucket, key, body); out.Metadata["colour"] != "blue" {
			t.Errorf("metadata %v", out.Metadata)
		}
	}
}

// dataKey unwraps the data key of an object, for decrypt.py.
func dataKey(t *testing.T, keyset, bucket, key string, fields map[string]string) string {
	t.Helper()
	kek, err := localfile.Open(keyset)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := kms.NewKeyring(kms.Config{Write: kek})
	if err != nil {
		t.Fatal(err)
	}
	meta, err := envelope.ParseMetadata(fields)
	if err != nil {
		t.Fatal(err)
	}
	dek, err := ring.OpenKey(t.Context(), kms.Name{Bucket: bucket, Key: key, Kind: meta.Kind}, meta)
	if err != nil {
		t.Fatal(err)
	}
	return hexKey(t, dek)
}
