package legacy

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
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

// model is an object, and what it has to be. Whoever holds mu for reading sees no client write it: a
// read must give exactly this, whatever a migration does meanwhile.
type model struct {
	mu    sync.RWMutex
	key   string
	body  []byte
	color string // of its metadata
	gone  bool
	fixed bool // no client writes it
}

// load is clients who use a bucket of old objects while it is migrated.
type load struct {
	*oldBucket
	t       *testing.T
	all     []*model
	clients []*s3.Client // of several replicas
	ended   atomic.Bool

	reads, ranges, heads, lists, writes, updates, deletes atomic.Int64
}

// oldSizes are sizes of all magnitudes up to largest bytes, those at the ends of blocks and segments among them.
func oldSizes(n, largest int) (sizes []int) {
	sizes = []int{0, 1, 15, 16, 17, 31, 32, 33, 427, 428, 429, 65_519, 65_520, 65_535, 65_536, 65_537, 131_072, 1<<20 - 1, 1 << 20, 1<<20 + 1, 5 << 20, 9 << 20}
	for len(sizes) < n {
		sizes = append(sizes, int(math.Exp(rand.Float64()*math.Log(float64(largest)))))
	}
	return sizes[:n]
}

func TestABucketOfOldObjectsIsMigratedWhileItIsUsed(t *testing.T) {
	lab.TakesLong(t)
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	objects, largest := 300, 100_000
	if lab.Long {
		objects, largest = 4000, 1_000_000
	}
	for _, name := range lab.RealStores {
		t.Run(name, func(t *testing.T) {
			store := lab.SharedStore(t, name)
			l := &load{oldBucket: newOldBucket(t, store, testKey, "etag: md5"), t: t}
			l.fill(oldSizes(objects, largest))
			for range 2 {
				l.clients = append(l.clients, s3test.SDK(t, l.proxy(t, "--metrics-listen", "").S3()))
			}
			began := time.Now()
			stop := l.begin()
			args := []string{"encrypt-existing", "--legacy", "--json", "--kms", l.kms, "--config", l.config, "--rate", fmt.Sprint(objects / 4), "s3://" + l.bucket}
			for range 2 {
				lab.KilledAt(t, store, objects/4, func(r *http.Request) bool { return lab.Replaces(r, l.bucket, "") && r.Method == http.MethodPut }, func(through *lab.Counted) *lab.Process {
					return lab.Start(t, "encrypt-existing", lab.S3proxy(t), append(args, "--upstream", through.URL), store.S3().Env())
				})
			}
			r, out, code := l.run(t, args[:3:3][0], args[1], args[2], "--rate", fmt.Sprint(objects/4), "s3://"+l.bucket)
			took := time.Since(began)
			stop()
			if code != 0 || !r.Off || r.Legacy == 0 || r.Done == 0 {
				t.Fatalf("exit code %d: %s", code, out)
			}
			t.Logf("%d objects, %d MiB, in %v: %d reads, %d ranges, %d HEADs, %d lists, %d writes, %d updates, %d deletions; the third run migrated %d of %d",
				objects, l.bytes()>>20, took.Round(time.Second), l.reads.Load(), l.ranges.Load(), l.heads.Load(), l.lists.Load(), l.writes.Load(), l.updates.Load(), l.deletes.Load(), r.Legacy, r.Objects)
			if r, out, code := l.run(t, "encrypt-existing", "--legacy", "--json", "s3://"+l.bucket); code != 0 || r.Rewritten != 0 {
				t.Errorf("again: exit code %d: %s", code, out)
			}
			l.checkAll()
		})
	}
}

// fill puts the objects as the older program left them.
func (l *load) fill(sizes []int) {
	raw := s3test.SDK(l.t, l.store.S3())
	group, ctx := errgroup.WithContext(l.t.Context())
	group.SetLimit(16)
	for i, size := range sizes {
		m := &model{key: fmt.Sprintf("old/%05d", i), body: s3test.Content(uint64(i), size), color: "red", fixed: i%2 == 0}
		l.all = append(l.all, m)
		group.Go(func() error {
			s := makeOld(l.t, m.body).With("color", m.color)
			_, err := raw.PutObject(ctx, &s3.PutObjectInput{Bucket: &l.bucket, Key: &m.key, Body: bytes.NewReader(s.Body), Metadata: s.Meta})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		l.t.Fatal(err)
	}
}

// begin starts the clients; stop ends them.
func (l *load) begin() (stop func()) {
	var group sync.WaitGroup
	run := func(n int, do func(ctx context.Context, client *s3.Client) error) {
		for i := range n {
			client := l.clients[i%len(l.clients)]
			group.Go(func() {
				for !l.ended.Load() {
					if err := do(l.t.Context(), client); err != nil {
						l.t.Error(err)
						return
					}
				}
			})
		}
	}
	run(3, l.read)
	run(2, l.write)
	run(1, l.list)
	return func() {
		l.ended.Store(true)
		group.Wait()
	}
}

func (l *load) pick() *model { return l.all[rand.IntN(len(l.all))] }

// read reads one object, whole, in a range, or its headers.
func (l *load) read(ctx context.Context, client *s3.Client) error {
	m := l.pick()
	m.mu.RLock()
	defer m.mu.RUnlock()
	want, in := m.body, &s3.GetObjectInput{Bucket: &l.bucket, Key: &m.key}
	switch how := rand.IntN(3); {
	case how == 0 && !m.gone:
		l.heads.Add(1)
		head, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &l.bucket, Key: &m.key})
		if err == nil && (aws.ToInt64(head.ContentLength) != int64(len(m.body)) || aws.ToString(head.ETag) != s3test.MD5ETag(m.body) || head.Metadata["color"] != m.color) {
			err = fmt.Errorf("%d bytes, %s, %v; want %d, %s, %s", aws.ToInt64(head.ContentLength), aws.ToString(head.ETag), head.Metadata, len(m.body), s3test.MD5ETag(m.body), m.color)
		}
		return named(err, "HEAD", m)
	case how == 1 && len(m.body) > 1:
		first := rand.IntN(len(m.body) - 1)
		last := first + rand.IntN(len(m.body)-first)
		in.Range, want = aws.String(fmt.Sprintf("bytes=%d-%d", first, last)), m.body[first:last+1]
		l.ranges.Add(1)
	default:
		l.reads.Add(1)
	}
	out, err := client.GetObject(ctx, in)
	if m.gone {
		var missing *types.NoSuchKey
		if !errors.As(err, &missing) {
			return fmt.Errorf("GET %s, which was deleted: %v", m.key, err)
		}
		return nil
	}
	if err != nil {
		return named(err, "GET", m)
	}
	defer out.Body.Close()
	got, err := io.ReadAll(out.Body)
	if err == nil {
		err = s3test.SameBytes(got, want)
	}
	return named(err, "GET "+aws.ToString(in.Range), m)
}

// write writes, updates or deletes one object that is a client's to change.
func (l *load) write(ctx context.Context, client *s3.Client) error {
	time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond) // a few are changed, most are not
	m := l.pick()
	if m.fixed {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var err error
	switch how := rand.IntN(10); {
	case how < 5 || m.gone:
		l.writes.Add(1)
		body, color := s3test.Content(rand.Uint64(), rand.IntN(50_000)), "green"
		if _, err = client.PutObject(ctx, &s3.PutObjectInput{Bucket: &l.bucket, Key: &m.key, Body: bytes.NewReader(body), Metadata: map[string]string{"color": color}}); err == nil {
			m.body, m.color, m.gone = body, color, false
		}
	case how < 9:
		l.updates.Add(1)
		color := fmt.Sprint("blue-", rand.IntN(1000))
		if _, err = client.CopyObject(ctx, &s3.CopyObjectInput{
			Bucket: &l.bucket, Key: &m.key, CopySource: aws.String(l.bucket + "/" + m.key), MetadataDirective: types.MetadataDirectiveReplace, Metadata: map[string]string{"color": color},
		}); err == nil {
			m.color = color
		}
	default:
		l.deletes.Add(1)
		if _, err = client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &l.bucket, Key: &m.key}); err == nil {
			m.gone = true
		}
	}
	return named(err, "a write", m)
}

// list lists all, and wants the sizes and ETags of what no client writes.
func (l *load) list(ctx context.Context, client *s3.Client) error {
	l.lists.Add(1)
	listed := map[string]types.Object{}
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: &l.bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("LIST: %w", err)
		}
		for _, o := range page.Contents {
			listed[*o.Key] = o
		}
	}
	for _, m := range l.all {
		if !m.fixed {
			continue
		}
		if o, ok := listed[m.key]; !ok || *o.Size != int64(len(m.body)) || *o.ETag != s3test.MD5ETag(m.body) {
			return fmt.Errorf("LIST: %s: there: %v, %+v", m.key, ok, o)
		}
	}
	return nil
}

func named(err error, what string, m *model) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s of %s, of %d bytes: %w", what, m.key, len(m.body), err)
}

func (l *load) bytes() (n int) {
	for _, m := range l.all {
		n += len(m.body)
	}
	return n
}

// checkAll wants all objects as their last writer left them, of format 1, for a proxy that knows
// nothing of old ones.
func (l *load) checkAll() {
	t := l.t
	client := s3test.SDK(t, lab.Proxy(t, lab.ProxyOptions{Upstream: l.store, Args: []string{"--kms", l.kms, "--etag", "md5"}}).S3())
	group := &errgroup.Group{}
	group.SetLimit(8)
	for _, m := range l.all {
		group.Go(func() error {
			out, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &l.bucket, Key: &m.key})
			if m.gone {
				if s3test.Code(err) != "NoSuchKey" {
					t.Errorf("%s, which was deleted: %v", m.key, err)
				}
				return nil
			}
			if err != nil {
				t.Errorf("%s: %v", m.key, err)
				return nil
			}
			defer out.Body.Close()
			sum := md5.New()
			n, err := io.Copy(sum, out.Body)
			if want := md5.Sum(m.body); err != nil || n != int64(len(m.body)) || !slices.Equal(sum.Sum(nil), want[:]) || out.Metadata["color"] != m.color || out.Metadata[oldHeader] != "" {
				t.Errorf("%s: %d bytes of %d, %v, want %s: %v", m.key, n, len(m.body), out.Metadata, m.color, err)
			}
			return nil
		})
	}
	group.Wait()
	list, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &l.bucket})
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int64{}
	for _, o := range list.Contents {
		sizes[*o.Key] = *o.Size
	}
	for _, m := range l.all[:min(len(l.all), 300)] {
		if size, ok := sizes[m.key]; ok == m.gone || ok && size != int64(len(m.body)) {
			t.Errorf("the list: %s: %d bytes, there: %v", m.key, size, ok)
		}
	}
	out, code := lab.Command(t, l.store, "keys", "verify", "--kms", l.kms, "--upstream", l.store.URL, "s3://"+l.bucket)
	if code != 0 {
		t.Errorf("keys verify: exit code %d: %s", code, out)
	}
}
