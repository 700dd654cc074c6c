package keys

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
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

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// rotating is a bucket behind three proxies and a fourth, in use while its key rotates.
type rotating struct {
	t       *testing.T
	store   *lab.Store
	kek     lab.KEK
	before  *lab.KEK // the KEK that kek replaces
	proxies []*lab.ProxyProcess
	clients []*s3.Client // of the three proxies
	slow    *s3.Client   // of the fourth, which learns last that a key was rotated
	bucket  string
	settled map[string]*settledObject // nobody writes to these
	racing  []*s3test.Racer
	written atomic.Int64 // keys added since the load began
	reads   atomic.Int64
	met     [2]atomic.Int64 // the command's writes to racing objects: by one PUT, in parts
}

// settledObject is what an object looked like before the rotation.
type settledObject struct {
	parts [][]byte
	head  *s3.HeadObjectOutput
	tags  []types.Tag
}

// populate writes single and multipart objects through all proxies, in many short windows.
func (r *rotating) populate(objects, multipart int) {
	t := r.t
	r.settled = map[string]*settledObject{}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(12)
	for i := range objects + multipart {
		group.Go(func() error {
			client := r.client(i)
			o := &settledObject{parts: [][]byte{s3test.Content(uint64(i), 200+i%900)}}
			key := fmt.Sprintf("%s%06d", settledPrefix, i)
			if i >= objects {
				o.parts = [][]byte{s3test.Content(uint64(i), 5<<20), s3test.Content(uint64(i)+1, 1000)}
				in := &s3.CreateMultipartUploadInput{
					Bucket: &r.bucket, Key: &key, ContentType: aws.String("text/x-own"),
					Metadata: map[string]string{"number": strconv.Itoa(i)}, Tagging: aws.String(s3test.TwoTags),
				}
				if err := s3test.PutParts(ctx, client, in, o.parts); err != nil {
					return err
				}
			} else {
				in := &s3.PutObjectInput{
					Bucket: &r.bucket, Key: &key, Body: bytes.NewReader(o.parts[0]), ContentType: aws.String("text/x-own"), CacheControl: aws.String("no-store"),
					Metadata: map[string]string{"number": strconv.Itoa(i)}, Tagging: aws.String(s3test.TwoTags),
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

// A command visits these in the order of their names: first the racing objects, while the fourth
// proxy still writes under the old version, and the new ones last.
const (
	racingPrefix  = "racing/"
	settledPrefix = "settled/"
	newPrefix     = "written/"
)

func newKey(n int64) string { return fmt.Sprintf("%s%08d", newPrefix, n) }

// load writes new objects, overwrites some, and reads objects of all kinds, until the returned
// function is called. It returns when all racing objects have been written to; by then the fourth
// proxy has its window.
func (r *rotating) load() (stop func()) {
	t := r.t
	// The machine runs other tests too, and the command mostly waits for the proxies to look. Of
	// each kind of racer there is one.
	racers, pace := 4, time.Duration(10)
	if lab.Long {
		racers, pace = 8, 1
	}
	if r.racing == nil {
		for i := range racers {
			r.racing = append(r.racing, &s3test.Racer{Key: fmt.Sprint(racingPrefix, i), Updates: i%2 == 1, Parts: i%4 > 1})
		}
	}
	var ended atomic.Bool
	var group sync.WaitGroup
	loop := func(pause time.Duration, do func(i int) error) {
		group.Go(func() {
			for i := 0; !ended.Load(); i++ {
				if err := do(i); err != nil {
					t.Errorf("beside the rotation: %v", err)
					return
				}
				time.Sleep(rand.N(pause))
			}
		})
	}
	writer := r.client(0)
	loop(4*time.Millisecond*pace, func(int) error {
		n := r.written.Load()
		key := newKey(n)
		if _, err := writer.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &r.bucket, Key: &key, Body: bytes.NewReader(s3test.Content(uint64(n), 50))}); err != nil {
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
	loop(4*time.Millisecond*pace, func(int) error {
		key := keys[rand.IntN(len(keys))]
		r.reads.Add(1)
		return r.readSettled(reader, key, r.settled[key])
	})
	var begun sync.WaitGroup
	for _, racing := range r.racing {
		begun.Add(1)
		// Long enough for a renewal, which takes several requests, to fit between two writes
		// sometimes, but not always.
		loop(200*time.Millisecond, func(i int) error {
			if i == 0 {
				defer begun.Done()
			}
			return racing.Write(t, r.slow, r.bucket)
		})
		loop(10*time.Millisecond*pace, func(i int) error { return racing.Read(t, r.client(i), r.bucket) })
	}
	begun.Wait()
	return func() {
		ended.Store(true)
		group.Wait()
	}
}

// readSettled reads an object that nobody writes to.
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
	return s3test.SameBytes(got, bytes.Join(o.parts, nil))
}

// command starts keys rotate on the bucket, and counts its requests to the store.
func (r *rotating) command(through *lab.Counted, args ...string) *lab.Process {
	kms, env := r.kms()
	args = slices.Concat([]string{"keys", "rotate", "--upstream", through.URL}, kms, args, []string{"s3://" + r.bucket})
	return lab.Start(r.t, "rotate", lab.S3proxy(r.t), args, r.store.S3().Env(env...))
}

// kms returns the flags and the environment that name the keys.
func (r *rotating) kms() (flags, env []string) {
	flags = append([]string{"--kms", r.kek.URI}, r.kek.Read...)
	if r.before == nil {
		return flags, r.kek.Env
	}
	return append(flags, "--kms-read", r.before.URI), slices.Concat(r.kek.Env, r.before.Env)
}

// keks returns, by key, the KEKs that the store's objects below a prefix, or their records, name.
func (r *rotating) keks(below string) map[string]string {
	t := r.t
	t.Helper()
	client, all := s3test.SDK(t, r.store.S3()), map[string]string{}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(12)
	for _, key := range r.stored(below) {
		group.Go(func() error {
			out, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: &r.bucket, Key: &key})
			if err != nil {
				return err
			}
			defer out.Body.Close()
			kek, isObject := out.Metadata["s3proxy-kek"]
			if !isObject {
				var record struct{ KEK string }
				if err := json.NewDecoder(out.Body).Decode(&record); err != nil {
					return fmt.Errorf("%s: %w", key, err)
				}
				kek = record.KEK
			}
			mu.Lock()
			defer mu.Unlock()
			all[key] = kek
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return all
}

// stored lists the keys below a prefix in the store.
func (r *rotating) stored(below string) (keys []string) {
	t := r.t
	t.Helper()
	pages := s3.NewListObjectsV2Paginator(s3test.SDK(t, r.store.S3()), &s3.ListObjectsV2Input{Bucket: &r.bucket, Prefix: &below})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			keys = append(keys, *o.Key)
		}
	}
	return keys
}

// meet counts the command's writes to racing objects.
func (r *rotating) meet(req *http.Request) {
	switch {
	case !lab.Replaces(req, r.bucket, racingPrefix):
	case req.Method == http.MethodPost:
		r.met[1].Add(1)
	default:
		r.met[0].Add(1)
	}
}

// rotate makes a new version, if the key stays, and rotates under load. The command is to write
// everything below the prefix. It is killed after a quarter of that, again after half of the rest,
// and then runs to its end.
func (r *rotating) rotate(below string, args ...string) {
	t := r.t
	t.Helper()
	before := r.keks(below)
	left := len(before)
	defer r.load()()
	if r.before == nil && r.kek.Renew != nil {
		r.kek.Renew(t)
	}
	began := time.Now()
	for i, share := range []int{4, 2} {
		more := args
		if i == 0 && r.before == nil && r.kek.Renew == nil {
			more = append([]string{"--new-version"}, args...)
		}
		lab.KilledAt(t, r.store, left/share, func(req *http.Request) bool {
			r.meet(req)
			return lab.Replaces(req, r.bucket, below)
		}, func(through *lab.Counted) *lab.Process { return r.command(through, more...) })
		due := left
		if left = r.countLeft(before, below); left == 0 || left == due {
			t.Errorf("killed in the middle of %d below %s: %d were left of %d", due, below, left, len(before))
		}
		t.Logf("killed with %d left of %d below %s", left, len(before), below)
	}
	killed := time.Now()
	through := lab.Count(t, r.store)
	through.First = r.meet
	var p *lab.Process
	asked := through.During(func() {
		p = r.command(through, args...)
		if code, ended := p.Wait(10 * time.Minute); !ended || code != 0 {
			t.Fatalf("keys rotate: exit code %d\n%s", code, p.Log())
		}
	})
	if left = r.countLeft(before, below); left != 0 {
		t.Errorf("%d below %s are as they were", left, below)
	}
	t.Logf("after two kills in %.1f s: %.1f s, %d requests to the store, beside %d new objects and %d reads\n%s",
		killed.Sub(began).Seconds(), time.Since(killed).Seconds(), len(asked), r.written.Load(), r.reads.Load(), strings.TrimSpace(p.Log()))
}

// countLeft counts what still names the same KEK as before.
func (r *rotating) countLeft(before map[string]string, below string) (left int) {
	r.t.Helper()
	for key, kek := range r.keks(below) {
		if before[key] == kek {
			left++
		}
	}
	return left
}

// loadWindow is the number of objects in a window while the key rotates.
const loadWindow = 20

// startProxies starts all proxies: three with windows so short that a rotation soon shows in them,
// and one whose window goes on under the old version for as long as permitted.
func (r *rotating) startProxies(window int) {
	for _, p := range r.proxies {
		p.Kill()
	}
	r.proxies, r.clients = nil, nil
	start := func(more ...string) *s3.Client {
		kms, env := r.kms()
		p := lab.Proxy(r.t, lab.ProxyOptions{Upstream: r.store, Args: append(kms, more...), Env: env})
		r.proxies = append(r.proxies, p)
		return s3test.SDK(r.t, p.S3())
	}
	for range 3 {
		r.clients = append(r.clients, start("--key-window-objects", strconv.Itoa(window)))
	}
	r.slow = start()
}

// check reads everything through new proxies. Objects that nobody wrote to must be as before,
// including their date if the objects were not renewed.
func (r *rotating) check(sameDates bool) {
	t := r.t
	t.Helper()
	r.startProxies(loadWindow)
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
				aws.ToString(h.ChecksumCRC32), aws.ToString(h.ChecksumCRC64NVME), h.ChecksumType, aws.ToString(h.VersionId), s3test.Tagged(tags))
		}
		if got, want := shown(head, tags), shown(&before, o.tags); got != want {
			return fmt.Errorf("now %s\nbefore %s", got, want)
		}
		return nil
	})
	client := r.client(0)
	for _, c := range r.racing {
		if err := c.Read(t, client, r.bucket); err != nil {
			t.Error(err)
		}
	}
	n := r.written.Load()
	for i := int64(0); i < n; i += max(1, n/300) {
		s3test.WantObject(t, client, r.bucket, newKey(i), s3test.Content(uint64(i), 50))
	}
}

const recordPrefix = ".s3proxy/keys/"

// dropRecords deletes all window records in the store.
func (r *rotating) dropRecords() {
	t := r.t
	t.Helper()
	client, records := s3test.SDK(t, r.store.S3()), r.stored(recordPrefix)
	for _, key := range records {
		if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &r.bucket, Key: &key}); err != nil {
			t.Fatal(err)
		}
	}
	if len(records) == 0 {
		t.Error("there are no records")
	}
	t.Logf("%d records deleted", len(records))
}

func TestKeysRotateUnderLoad(t *testing.T) {
	lab.TakesLong(t)
	t.Parallel()
	if lab.Direct {
		t.Skip("there are no keys without the proxy")
	}
	for name, c := range map[string]struct {
		kek, before func(*testing.T) lab.KEK
		objects     int
		always      bool // run without test-long: a rotation and a move, for two KMSs
	}{
		"vault":                   {lab.VaultKEK, nil, 10_000, true},
		"localfile":               {lab.LocalKEK, nil, 2000, false},
		"from localfile to vault": {lab.VaultKEK, lab.LocalKEK, 2000, false},
		"from vault to awskms":    {lab.AWSKEK, lab.VaultKEK, 2000, true},
	} {
		if !c.always && !lab.Long {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects, multipart := 100, 2
			if lab.Long {
				objects, multipart = c.objects, 20
			}
			r := &rotating{t: t, store: lab.MinIO(t)}
			if c.before != nil {
				r.kek = c.before(t)
			} else {
				r.kek = c.kek(t)
			}
			r.startProxies(min(objects/50, loadWindow)) // enough records to be in the middle of them
			r.bucket = s3test.NewBucket(t, r.proxies[0].S3())
			r.populate(objects, multipart)
			if c.before != nil {
				before := r.kek
				r.kek, r.before = c.kek(t), &before
			}
			r.startProxies(loadWindow)
			for _, pass := range []struct {
				args      []string
				below     string // the prefix that the command must write
				sameDates bool
			}{
				{nil, recordPrefix, true},
				{[]string{"--objects"}, settledPrefix, false},
			} {
				r.rotate(pass.below, pass.args...)
				if r.before != nil {
					r.before.End(t)
					r.before = nil
				} else {
					r.kek.Retire(t)
				}
				if pass.args != nil {
					t.Logf("the command wrote to racing keys %d times by one PUT, and %d times in parts", r.met[0].Load(), r.met[1].Load())
					// Which of them depends on the machine; with few objects, perhaps none.
					if lab.Long && r.met[0].Load()+r.met[1].Load() == 0 {
						t.Error("it met no writer")
					}
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
