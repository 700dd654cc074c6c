package keys

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/localfile"
	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// thief has a copy of a keyset file, and can write to the store past the proxy.
type thief struct {
	kek    kms.Key
	store  lab.S3
	bucket string
}

// memoryRecords keeps what the thief's own keyring would store.
type memoryRecords map[string][]byte

func (m memoryRecords) PutRecord(_ context.Context, _, id string, record []byte) error {
	m[id] = record
	return nil
}

func (m memoryRecords) CheckBucket(context.Context, string) error { return nil }

func (m memoryRecords) GetRecord(_ context.Context, _, id string) ([]byte, error) {
	if r, ok := m[id]; ok {
		return r, nil
	}
	return nil, kms.ErrNoRecord
}

// sealForged makes what the store holds of an object sealed with a key.
func sealForged(t *testing.T, dek *envelope.DEK, m *envelope.Metadata, content []byte) s3test.Stored {
	t.Helper()
	var err error
	if m.Facts, err = dek.SealFacts(m.Kind, int64(len(content)), envelope.Facts{}); err != nil {
		t.Fatal(err)
	}
	fields, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(dek.SealObject(int64(len(content)), bytes.NewReader(content), nil))
	if err != nil {
		t.Fatal(err)
	}
	return s3test.Stored{Body: body, Meta: fields}
}

// withOwnWindow forges an object in a window of the thief's own, and returns that window's record.
func (th *thief) withOwnWindow(t *testing.T, key string, content []byte) (object s3test.Stored, id string, record []byte) {
	t.Helper()
	records := memoryRecords{}
	ring, err := kms.NewKeyring(kms.Config{Write: th.kek, Records: records, Window: time.Hour, WindowObjects: 10})
	if err != nil {
		t.Fatal(err)
	}
	dek, m, err := ring.NewKey(t.Context(), kms.Name{Bucket: th.bucket, Key: key, Kind: envelope.KindSingle})
	if err != nil {
		t.Fatal(err)
	}
	for id, record = range records {
	}
	return sealForged(t, dek, m, content), id, record
}

// inWindowOf forges an object in the window of an object that a proxy wrote.
func (th *thief) inWindowOf(t *testing.T, written s3test.Stored, key string, content []byte) s3test.Stored {
	t.Helper()
	m, err := envelope.ParseMetadata(written.Meta)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := th.kek.Unwrap(t.Context(), kms.Wrapped{KEK: m.KEK, Blob: m.Window}, kms.Context{"bucket": th.bucket})
	if err != nil {
		t.Fatal(err)
	}
	window, err := subtle.NewAESGCM(raw)
	if err != nil {
		t.Fatal(err)
	}
	dek, err := envelope.NewDEK()
	if err != nil {
		t.Fatal(err)
	}
	forged := &envelope.Metadata{Kind: envelope.KindSingle, KEK: m.KEK, Window: m.Window, Commitment: dek.Commitment()}
	forged.DEK, err = dek.Wrap(window, kms.Context{
		"bucket": th.bucket, "key": key, "format": "1", "kind": "single", "kek": m.KEK, "window": hex.EncodeToString(m.WindowID()),
	}.Canonical())
	if err != nil {
		t.Fatal(err)
	}
	return sealForged(t, dek, forged, content)
}

// A keyset is stolen. Rotation does not help, and even launders objects planted by the thief. After
// `keys rekey`, nothing that the thief can make is read, whatever the store does with the floor.
func TestAfterATheftRekeyRefusesAllThatTheThiefCanMake(t *testing.T) {
	lab.TakesLong(t)
	t.Parallel()
	if lab.Direct {
		t.Skip("there are no keys without the proxy")
	}
	for _, name := range lab.RealStores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := lab.SharedVersitygw(t)
			if name == lab.OnMinIO {
				store = lab.SharedMinIO(t)
			}
			theftAndRekey(t, store)
		})
	}
}

func theftAndRekey(t *testing.T, store *lab.Store) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keyset.json")
	keyset := "localfile://" + path
	env := store.S3().Env()
	command := func(args ...string) []string {
		return append(append([]string{"keys"}, args...), "--kms", keyset, "--upstream", store.URL, "--data-dir", t.TempDir())
	}
	keys := func(args ...string) string {
		t.Helper()
		return lab.MustRun(t, env, lab.S3proxy(t), command(args...)...)
	}
	keys("create")
	versions := func() (old []string) {
		for line := range strings.Lines(keys("list")) {
			if f := strings.Fields(line); len(f) > 3 && f[3] == "false" && f[2] == "enabled" {
				old = append(old, f[0])
			}
		}
		return old
	}
	start := func(args ...string) lab.S3 {
		t.Helper()
		return lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: append([]string{"--kms", keyset, "--key-window-objects", "7"}, args...)}).S3()
	}
	one, two := start(), start("--etag", "md5")
	bucket := s3test.NewBucket(t, one)
	client, ctx := s3test.SDK(t, one), t.Context()
	const objects = 40
	key := func(i int) string { return fmt.Sprintf("object-%03d", i) }
	for i := range objects {
		if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String(key(i)), Body: bytes.NewReader(s3test.Content(uint64(i), 1000*i))}); err != nil {
			t.Fatal(err)
		}
	}
	parts := [][]byte{s3test.Content(901, 5<<20), s3test.Content(902, 70_000)}
	if err := s3test.PutParts(ctx, s3test.SDK(t, two), &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: aws.String("in parts")}, parts); err != nil {
		t.Fatal(err)
	}
	tag, err := s3test.SDK(t, two).HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: aws.String("in parts")})
	if err != nil {
		t.Fatal(err)
	}

	// The theft.
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	loot := filepath.Join(dir, "stolen.json")
	if err := os.WriteFile(loot, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	kek, err := localfile.Open(loot)
	if err != nil {
		t.Fatal(err)
	}
	th := &thief{kek, store.S3(), bucket}
	forgery := []byte("what nobody wrote")
	byRecord, id, record := th.withOwnWindow(t, "by-record", forgery)
	byWindow := th.inWindowOf(t, s3test.RawGet(t, store.S3(), "/"+bucket+"/"+key(3)), "by-window", forgery)
	plant := func() {
		t.Helper()
		s3test.RawPut(t, store.S3(), "/"+bucket+"/by-record", byRecord)
		s3test.RawPut(t, store.S3(), "/"+bucket+"/by-window", byWindow)
	}
	forged := func(at lab.S3, readable bool, when string) {
		t.Helper()
		for _, key := range []string{"by-record", "by-window"} {
			a := s3test.Get(t, at, "/"+bucket+"/"+key)
			if readable && string(a.Body) != string(forgery) || !readable && a.Status < 400 {
				t.Errorf("%s, %s: %v", when, key, a)
			}
		}
	}
	s3test.RawPut(t, store.S3(), "/"+bucket+"/.s3proxy/keys/"+id, s3test.Stored{Body: record})
	plant()
	forged(one, true, "before anything was done")

	// Rotating, and disabling the stolen version, change nothing.
	keys("rotate", "--new-version", "--settle", "0", "s3://"+bucket)
	for _, old := range versions() {
		keys("destroy", old, "--yes")
	}
	one, two = start(), start("--etag", "md5") // the other proxies write in windows of the old version for a while
	forged(one, true, "after a rotation and the end of the stolen version")
	for _, key := range []string{"by-record", "by-window"} {
		if a := (s3test.Call{Method: http.MethodDelete, Path: "/" + bucket + "/" + key}).Do(t, store.S3()); a.Status != 204 {
			t.Fatal(a)
		}
	}

	// Clients go on while the bucket is re-encrypted.
	var stop atomic.Bool
	var group sync.WaitGroup
	var writes, reads atomic.Int64
	defer func() { stop.Store(true); group.Wait() }()
	for n, at := range []lab.S3{one, two} {
		client := s3test.SDK(t, at)
		group.Go(func() {
			for i := 0; !stop.Load(); i++ {
				key := fmt.Sprintf("during-%d-%06d", n, i)
				if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(s3test.Content(uint64(i), 3000))}); err != nil {
					t.Errorf("a write beside it: %v", err)
					return
				}
				writes.Add(1)
				time.Sleep(50 * time.Millisecond)
			}
		})
		group.Go(func() {
			for i := 0; !stop.Load(); i++ {
				out, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: aws.String(key(i % objects))})
				if err != nil {
					t.Errorf("a read beside it: %v", err)
					return
				}
				got, err := io.ReadAll(out.Body)
				if err != nil || !bytes.Equal(got, s3test.Content(uint64(i%objects), 1000*(i%objects))) {
					t.Errorf("a read beside it: %d bytes, %v", len(got), err)
				}
				reads.Add(1)
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	if out, err := lab.RunBoth(t, env, lab.S3proxy(t), command("rekey", "--settle", "0", "s3://"+bucket)...); err == nil || !strings.Contains(out, "new version") {
		t.Errorf("under the key that the thief may have: %v %s", err, out)
	}
	killed := exec.Command(lab.S3proxy(t), command("rekey", "--new-version", "--settle", "10s", "--rate", "15", "s3://"+bucket)...)
	killed.Env = env
	floor := killedRekey(t, killed)
	open := s3test.RawGet(t, store.S3(), "/"+bucket+"/.s3proxy/floor")
	if out, err := lab.RunBoth(t, env, lab.S3proxy(t), command("rekey", "--settle", "0", "s3://"+bucket)...); err == nil || !strings.Contains(out, "--resume") {
		t.Errorf("with an open floor that the settings do not name: %v %s", err, out)
	}
	out := keys("rekey", "--resume", floor, "--settle", "0", "s3://"+bucket)
	if !strings.Contains(out, "is closed") || !strings.Contains(out, floor) || !strings.Contains(out, " 0 failed") {
		t.Fatalf("keys rekey: %s", out)
	}
	time.Sleep(time.Second)
	stop.Store(true)
	group.Wait()
	t.Logf("%d writes and %d reads beside it; %s", writes.Load(), reads.Load(), out)
	time.Sleep(6 * time.Second) // the proxies look for the floor every five seconds

	// Existing objects can be read, and what the thief can make cannot.
	config := filepath.Join(dir, "pinned.yaml")
	if err := os.WriteFile(config, []byte(fmt.Sprintf("buckets:\n  %s: {floor: [%s]}\n", bucket, floor)), 0o600); err != nil {
		t.Fatal(err)
	}
	whole := func(at lab.S3) {
		t.Helper()
		client := s3test.SDK(t, at)
		for i := range objects {
			s3test.WantObject(t, client, bucket, key(i), s3test.Content(uint64(i), 1000*i))
		}
		s3test.WantObject(t, client, bucket, "in parts", bytes.Join(parts, nil))
	}
	plant()
	pinned := start("--config", config)
	for when, at := range map[string]lab.S3{"a running proxy": one, "another": two, "a new one": start(), "a new one that names the floor": pinned} {
		whole(at)
		forged(at, false, when)
	}
	after, err := s3test.SDK(t, two).HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: aws.String("in parts")})
	if err != nil || aws.ToString(after.ETag) != aws.ToString(tag.ETag) {
		t.Errorf("the MD5 of an object in parts is %s, was %s: %v", aws.ToString(after.ETag), aws.ToString(tag.ETag), err)
	}

	// The store puts the former floor back.
	closed := s3test.RawGet(t, store.S3(), "/"+bucket+"/.s3proxy/floor")
	s3test.RawPut(t, store.S3(), "/"+bucket+"/.s3proxy/floor", open)
	replayed := start("--config", config)
	whole(replayed)
	forged(replayed, false, "with the open floor from before")
	if a := (s3test.Call{Method: http.MethodDelete, Path: "/" + bucket + "/.s3proxy/floor"}).Do(t, store.S3()); a.Status != 204 {
		t.Fatal(a)
	}
	forged(start("--config", config), false, "without a floor")
	forged(one, false, "without a floor, in a proxy that has seen it")
	s3test.RawPut(t, store.S3(), "/"+bucket+"/.s3proxy/floor", closed)

	for _, old := range versions() {
		keys("destroy", old, "--yes")
	}
	last := start("--config", config)
	whole(last)
	forged(last, false, "after the end of all old versions")
	if out := keys("rotate", "--new-version", "--settle", "0", "--config", config, "s3://"+bucket); !strings.Contains(out, "floor: rewrapped") {
		t.Errorf("keys rotate: %s", out)
	}
}

// killedRekey starts the command, kills it in the middle of its work, and returns the floor that it
// has opened.
func killedRekey(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	opened := regexp.MustCompile(`the floor ([0-9a-f]{32}) is open`)
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if m := opened.FindStringSubmatch(lines.Text()); m != nil {
			time.Sleep(12 * time.Second) // ten for the proxies, two of work at 15 objects a second
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			return m[1]
		}
	}
	t.Fatalf("keys rekey opened no floor: %v %s", cmd.Wait(), errs.String())
	return ""
}
