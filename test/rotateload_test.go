package test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"github.com/s3proxy/s3proxy/kms/awskms/fakekms"
	"github.com/s3proxy/s3proxy/test/lab"
)

// keyEncryptionKey is a key that a test rotates: what proxies and commands are told of
// it, and how its old versions, or all of them, are ended.
type keyEncryptionKey struct {
	uri    string
	env    []string
	renew  func(t *testing.T) // nil: by keys rotate --new-version
	retire func(t *testing.T)
	end    func(t *testing.T)
}

// localKEK is a new keyset in a file.
func localKEK(t *testing.T) keyEncryptionKey {
	path := filepath.Join(t.TempDir(), "keyset.json")
	k := keyEncryptionKey{uri: "localfile://" + path}
	keys := func(t *testing.T, args ...string) string {
		return mustRun(t, lab.Env(), lab.S3proxy(t), append([]string{"keys"}, append(args, "--kms", k.uri)...)...)
	}
	keys(t, "create")
	k.retire = func(t *testing.T) {
		for line := range strings.Lines(keys(t, "list")) {
			if f := strings.Fields(line); len(f) > 3 && f[3] == "false" && f[2] != "destroyed" {
				keys(t, "destroy", f[0], "--yes")
			}
		}
	}
	k.end = func(t *testing.T) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

// vaultKEK is a new key of a Vault, which proxies and commands use by AppRole.
func vaultKEK(t *testing.T) keyEncryptionKey {
	v := lab.SharedVault(t)
	name := freeName("kek")
	v.CreateKey(t, name)
	v.Policy(t, name, vaultPolicy(t, name, true))
	roleID, secretID := v.AppRole(t, name, []string{name}, 20*time.Second, time.Minute)
	return keyEncryptionKey{
		uri: "vault://transit/" + name,
		env: []string{"VAULT_ADDR=" + v.URL, "S3PROXY_VAULT_ROLE_ID=" + roleID, "S3PROXY_VAULT_SECRET_ID=" + secretID},
		retire: func(t *testing.T) {
			latest := v.Must(t, "GET", "transit/keys/"+name, nil)["latest_version"]
			v.Must(t, "POST", "transit/keys/"+name+"/config", map[string]any{"min_decryption_version": latest})
		},
		end: func(t *testing.T) {
			v.Must(t, "POST", "transit/keys/"+name+"/config", map[string]any{"deletion_allowed": true})
			v.Must(t, "DELETE", "transit/keys/"+name, nil)
		},
	}
}

// awsKEK is an alias of the fake of AWS KMS. Its new version is another key.
func awsKEK(t *testing.T) keyEncryptionKey {
	uri, env, fake, _ := awsKMS(t)
	var all []string
	renew := func(*testing.T) {
		all = append(all, fake.CreateKey("", ""))
		fake.Alias("alias/photos", all[len(all)-1])
	}
	renew(t)
	return keyEncryptionKey{uri: uri, env: env, renew: renew, retire: func(*testing.T) {
		for _, old := range all[:len(all)-1] {
			fake.SetState(old, fakekms.PendingDeletion)
		}
	}}
}

// emulatedKEK is an alias of an emulator of AWS KMS that others wrote.
func emulatedKEK(t *testing.T) keyEncryptionKey {
	server := lab.NewLocalKMS(t)
	server.Alias(t, "alias/photos", server.CreateKey(t))
	uri, env := awsProfile(t, "any", "any", lab.LocalKMSRegion, server.URL)
	return keyEncryptionKey{uri: uri, env: env}
}

// rotating is a bucket behind three proxies, in use while its key rotates.
type rotating struct {
	t       *testing.T
	store   *lab.Store
	kek     keyEncryptionKey
	before  *keyEncryptionKey // the one that kek takes the place of
	proxies []*lab.ProxyProcess
	clients []*s3.Client // of each proxy
	bucket  string
	settled map[string]*settledObject // nobody writes to them
	racing  []*racer
	written atomic.Int64 // keys that are new since the load began
	reads   atomic.Int64
}

// settledObject is what one looked like before the rotation.
type settledObject struct {
	parts [][]byte
	head  *s3.HeadObjectOutput
	tags  []types.Tag
}

// racer is an object that one client overwrites, again and again, and others read.
type racer struct {
	key            string
	updates        bool // every other write is an update of the metadata alone
	started, acked atomic.Int64
}

// populate writes objects and multipart ones through all proxies, in many short windows.
func (r *rotating) populate(objects, multipart int) {
	t := r.t
	r.settled = map[string]*settledObject{}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(12)
	for i := range objects + multipart {
		group.Go(func() error {
			client := r.client(i)
			o := &settledObject{parts: [][]byte{content(uint64(i), 200+i%900)}}
			key := fmt.Sprintf("settled/%06d", i)
			if i >= objects {
				o.parts = [][]byte{content(uint64(i), 5<<20), content(uint64(i)+1, 1000)}
				if err := putParts(ctx, client, r.bucket, key, o.parts); err != nil {
					return err
				}
			} else {
				in := &s3.PutObjectInput{
					Bucket: &r.bucket, Key: &key, Body: bytes.NewReader(o.parts[0]), ContentType: aws.String("text/x-own"), CacheControl: aws.String("no-store"),
					Metadata: map[string]string{"number": strconv.Itoa(i)}, Tagging: aws.String("a=b"),
				}
				if _, err := client.PutObject(ctx, in); err != nil {
					return err
				}
			}
			mu.Lock()
			defer mu.Unlock()
			r.settled[key] = o
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	r.eachSettled(func(client *s3.Client, key string, o *settledObject) (err error) {
		o.head, o.tags, err = r.state(client, key)
		return err
	})
}

func (r *rotating) state(client *s3.Client, key string) (*s3.HeadObjectOutput, []types.Tag, error) {
	head, err := client.HeadObject(r.t.Context(), &s3.HeadObjectInput{Bucket: &r.bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
	if err != nil {
		return nil, nil, err
	}
	tags, err := client.GetObjectTagging(r.t.Context(), &s3.GetObjectTaggingInput{Bucket: &r.bucket, Key: &key})
	if err != nil {
		return nil, nil, err
	}
	return head, tags.TagSet, nil
}

func (r *rotating) eachSettled(do func(client *s3.Client, key string, o *settledObject) error) {
	r.t.Helper()
	group := errgroup.Group{}
	group.SetLimit(12)
	i := 0
	for key, o := range r.settled {
		i++
		client := r.client(i)
		group.Go(func() error {
			if err := do(client, key, o); err != nil {
				r.t.Errorf("%s: %v", key, err)
			}
			return nil
		})
	}
	_ = group.Wait()
}

func (r *rotating) client(i int) *s3.Client { return r.clients[i%len(r.clients)] }

// putParts uploads an object in parts.
func putParts(ctx context.Context, client *s3.Client, bucket, key string, parts [][]byte) error {
	created, err := client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key, ContentType: aws.String("text/x-own"), Metadata: map[string]string{"parts": strconv.Itoa(len(parts))}, Tagging: aws.String("a=b")})
	if err != nil {
		return err
	}
	var done []types.CompletedPart
	for i, p := range parts {
		number := aws.Int32(int32(i + 1))
		out, err := client.UploadPart(ctx, &s3.UploadPartInput{Bucket: &bucket, Key: &key, UploadId: created.UploadId, PartNumber: number, Body: bytes.NewReader(p)})
		if err != nil {
			return err
		}
		done = append(done, types.CompletedPart{PartNumber: number, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32, ChecksumCRC64NVME: out.ChecksumCRC64NVME})
	}
	_, err = client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: &bucket, Key: &key, UploadId: created.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: done}})
	return err
}

// load writes new objects, overwrites some, and reads all kinds, until the function that
// it gives is called.
func (r *rotating) load() (stop func()) {
	t := r.t
	if r.racing == nil {
		for i := range 4 {
			r.racing = append(r.racing, &racer{key: fmt.Sprintf("racing-%d", i), updates: i%2 == 1})
		}
	}
	var ended atomic.Bool
	var group sync.WaitGroup
	loop := func(do func(i int) error) {
		group.Go(func() {
			for i := 0; !ended.Load(); i++ {
				if err := do(i); err != nil {
					t.Errorf("beside the rotation: %v", err)
					return
				}
				time.Sleep(2 * time.Millisecond) // the machine has other tests
			}
		})
	}
	writer := r.client(0)
	loop(func(int) error {
		n := r.written.Load()
		key := fmt.Sprintf("new/%08d", n)
		if _, err := writer.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &r.bucket, Key: &key, Body: bytes.NewReader(content(uint64(n), 50))}); err != nil {
			return fmt.Errorf("PUT %s: %w", key, err)
		}
		r.written.Add(1)
		return nil
	})
	reader := r.client(1)
	keys := make([]string, 0, len(r.settled))
	for key := range r.settled {
		keys = append(keys, key)
	}
	loop(func(int) error {
		key := keys[rand.IntN(len(keys))]
		r.reads.Add(1)
		return r.readSettled(reader, key, r.settled[key])
	})
	for i, racing := range r.racing {
		over, at := r.client(i), r.client(i+1)
		loop(func(int) error { return racing.write(t, over, r.bucket) })
		loop(func(int) error { return racing.read(t, at, r.bucket) })
	}
	return func() {
		ended.Store(true)
		group.Wait()
	}
}

// readSettled reads an object that nobody writes.
func (r *rotating) readSettled(client *s3.Client, key string, o *settledObject) error {
	out, err := client.GetObject(r.t.Context(), &s3.GetObjectInput{Bucket: &r.bucket, Key: &key})
	if err != nil {
		return err
	}
	defer out.Body.Close()
	got, err := io.ReadAll(out.Body)
	if err != nil {
		return err
	}
	return sameBytes(got, bytes.Join(o.parts, nil))
}

// write writes the next number, as body and metadata, or as metadata alone.
func (c *racer) write(t *testing.T, client *s3.Client, bucket string) error {
	n := c.started.Add(1)
	meta := map[string]string{"n": strconv.FormatInt(n, 10)}
	var err error
	if c.updates && n%2 == 0 {
		_, err = client.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: &bucket, Key: &c.key, CopySource: aws.String(bucket + "/" + c.key), MetadataDirective: types.MetadataDirectiveReplace, Metadata: meta})
	} else {
		_, err = client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &c.key, Metadata: meta, Body: strings.NewReader(strings.Repeat(strconv.FormatInt(n, 10)+" ", 100))})
	}
	if err != nil {
		return fmt.Errorf("write %d of %s: %w", n, c.key, err)
	}
	c.acked.Store(n)
	return nil
}

// read checks what one writer and any readers of a register demand: nothing older than
// what was acknowledged before, nothing that was not begun, and body and metadata of one
// write (an update of the metadata keeps the body of the write before it).
func (c *racer) read(t *testing.T, client *s3.Client, bucket string) error {
	least := c.acked.Load()
	if least == 0 {
		time.Sleep(time.Millisecond)
		return nil
	}
	out, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &c.key})
	if err != nil {
		return fmt.Errorf("read %s: %w", c.key, err)
	}
	defer out.Body.Close()
	body, err := io.ReadAll(out.Body)
	if err != nil {
		return fmt.Errorf("read %s: %w", c.key, err)
	}
	most := c.started.Load()
	n, err := strconv.ParseInt(out.Metadata["n"], 10, 64)
	if err != nil || n < least || n > most {
		return fmt.Errorf("%s is %v, not of %d to %d", c.key, out.Metadata, least, most)
	}
	want := n
	if c.updates && n%2 == 0 {
		want--
	}
	if first, _, _ := strings.Cut(string(body), " "); first != strconv.FormatInt(want, 10) {
		return fmt.Errorf("%s: body %s under metadata %d", c.key, first, n)
	}
	return nil
}

// command begins keys rotate on the bucket, through a counter of its requests.
func (r *rotating) command(through *counted, args ...string) *lab.Process {
	kms, env := r.kms()
	args = slices.Concat([]string{"keys", "rotate", "--upstream", through.URL}, kms, args, []string{"s3://" + r.bucket})
	return lab.Start(r.t, "rotate", lab.S3proxy(r.t), args, r.store.S3().Env(env...))
}

// kms are the flags and the environment that name the keys.
func (r *rotating) kms() (flags, env []string) {
	flags = []string{"--kms", r.kek.uri}
	if r.before == nil {
		return flags, r.kek.env
	}
	return append(flags, "--kms-read", r.before.uri), slices.Concat(r.kek.env, r.before.env)
}

// rotate makes a new version, if the key stays, and rotates, killed twice on the way.
func (r *rotating) rotate(kills [2]time.Duration, args ...string) {
	t := r.t
	t.Helper()
	through := count(t, r.store)
	if r.before == nil && r.kek.renew != nil {
		r.kek.renew(t)
	}
	began := time.Now()
	for i, wait := range kills {
		more := args
		if i == 0 && r.before == nil && r.kek.renew == nil {
			more = append([]string{"--new-version"}, args...)
		}
		p := r.command(through, more...)
		time.Sleep(wait)
		p.Kill()
		if strings.Contains(p.Log(), "records wrapped anew") {
			t.Errorf("the command ended before it was killed: %s", p.Log())
		}
	}
	killed := time.Now()
	var p *lab.Process
	asked := through.during(func() {
		p = r.command(through, args...)
		if code, ended := p.Wait(10 * time.Minute); !ended || code != 0 {
			t.Fatalf("keys rotate: exit code %d\n%s", code, p.Log())
		}
	})
	t.Logf("after two kills in %.1f s: %.1f s, %d requests to the store, beside %d new objects and %d reads\n%s",
		killed.Sub(began).Seconds(), time.Since(killed).Seconds(), len(asked), r.written.Load(), r.reads.Load(), strings.TrimSpace(p.Log()))
}

// startProxies starts all three, with windows of a few objects.
func (r *rotating) startProxies() {
	for _, p := range r.proxies {
		p.Kill()
	}
	r.proxies, r.clients = nil, nil
	for range 3 {
		kms, env := r.kms()
		p := lab.Proxy(r.t, lab.ProxyOptions{Upstream: r.store, Args: append(kms, "--key-window-objects", "20"), Env: env})
		r.proxies, r.clients = append(r.proxies, p), append(r.clients, sdk(r.t, p.S3()))
	}
}

// check reads everything, with new proxies. What nobody wrote to is as it was, its date
// too if the objects were not written again.
func (r *rotating) check(sameDates bool) {
	t := r.t
	t.Helper()
	r.startProxies()
	r.eachSettled(func(client *s3.Client, key string, o *settledObject) error {
		if err := r.readSettled(client, key, o); err != nil {
			return err
		}
		head, tags, err := r.state(client, key)
		if err != nil {
			return err
		}
		before := *o.head
		if !sameDates {
			before.LastModified = head.LastModified
		}
		shown := func(h *s3.HeadObjectOutput, tags []types.Tag) string {
			return fmt.Sprint(aws.ToString(h.ETag), h.LastModified, aws.ToInt64(h.ContentLength), h.Metadata, aws.ToString(h.ContentType), aws.ToString(h.CacheControl),
				aws.ToString(h.ChecksumCRC32), aws.ToString(h.ChecksumCRC64NVME), h.ChecksumType, aws.ToString(h.VersionId), len(tags))
		}
		if got, want := shown(head, tags), shown(&before, o.tags); got != want {
			return fmt.Errorf("now %s\nbefore %s", got, want)
		}
		return nil
	})
	client := r.client(0)
	for _, c := range r.racing {
		if err := c.read(t, client, r.bucket); err != nil {
			t.Error(err)
		}
	}
	n := r.written.Load()
	for i := int64(0); i < n; i += max(1, n/300) {
		wantObject(t, client, r.bucket, fmt.Sprintf("new/%08d", i), content(uint64(i), 50))
	}
}

// dropRecords deletes all window records at the store.
func (r *rotating) dropRecords() {
	t := r.t
	t.Helper()
	client := sdk(t, r.store.S3())
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: &r.bucket, Prefix: aws.String(".s3proxy/keys/")})
	dropped := 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &r.bucket, Key: o.Key}); err != nil {
				t.Fatal(err)
			}
			dropped++
		}
	}
	if dropped == 0 {
		t.Error("there are no records")
	}
	t.Logf("%d records deleted", dropped)
}

func TestKeysRotateUnderLoad(t *testing.T) {
	if direct {
		t.Skip("there are no keys without the proxy")
	}
	for name, c := range map[string]struct {
		kek, before func(*testing.T) keyEncryptionKey
		objects     int
	}{
		"vault":                   {vaultKEK, nil, 1000},
		"localfile":               {localKEK, nil, 200},
		"from localfile to vault": {vaultKEK, localKEK, 200},
		"from vault to awskms":    {awsKEK, vaultKEK, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects, multipart := c.objects, 2
			if long {
				objects, multipart = 10*c.objects, 20
			}
			r := &rotating{t: t, store: lab.MinIO(t)}
			if c.before != nil {
				r.kek = c.before(t)
			} else {
				r.kek = c.kek(t)
			}
			r.startProxies()
			r.bucket = newBucket(t, r.proxies[0].S3())
			r.populate(objects, multipart)
			if c.before != nil {
				before := r.kek
				r.kek, r.before = c.kek(t), &before
				r.startProxies()
			}
			for _, pass := range []struct {
				args      []string
				kills     [2]time.Duration
				sameDates bool
			}{
				{nil, [2]time.Duration{150 * time.Millisecond, 250 * time.Millisecond}, true},
				{[]string{"--objects"}, [2]time.Duration{700 * time.Millisecond, 900 * time.Millisecond}, false},
			} {
				stop := r.load()
				r.rotate(pass.kills, pass.args...)
				stop()
				if r.before != nil {
					r.before.end(t)
					r.before = nil
				} else {
					r.kek.retire(t)
				}
				if pass.args != nil {
					r.dropRecords()
				}
				r.check(pass.sameDates)
				if t.Failed() {
					return
				}
			}
		})
	}
}
