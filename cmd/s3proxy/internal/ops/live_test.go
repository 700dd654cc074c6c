package ops

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/localfile"
	"github.com/s3proxy/s3proxy/proxy"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
	"github.com/s3proxy/s3proxy/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// live is a bucket in a real store, with a proxy before it.
type live struct {
	t      *testing.T
	name   string
	store  *upstream.Client
	client *upstream.Client // of the proxy
	keyset string
	ring   *kms.Keyring // the proxy's
	window time.Duration
	// plaintext and passthrough are settings of the bucket.
	plaintext, passthrough bool
}

func newLive(t *testing.T, window time.Duration) *live {
	t.Helper()
	server := lab.SharedVersitygw(t)
	l := &live{t: t, window: window, keyset: filepath.Join(t.TempDir(), "keyset.json"), name: "ops-" + strings.ToLower(rand.Text()[:12])}
	l.store = l.dial(server.URL, server.AccessKey, server.SecretKey)
	if err := localfile.Create(l.keyset); err != nil {
		t.Fatal(err)
	}
	l.send(l.store, &upstream.Request{Method: http.MethodPut})
	l.serve()
	return l
}

func (l *live) dial(address, id, secret string) *upstream.Client {
	l.t.Helper()
	endpoint, err := url.Parse(address)
	if err != nil {
		l.t.Fatal(err)
	}
	client, err := upstream.New(upstream.Config{
		Endpoint: endpoint, Region: "us-east-1", Payload: upstream.PayloadChecked, Attempts: 3,
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""),
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return client
}

// serve begins a new proxy, which has read the key file as it is now.
func (l *live) serve() {
	l.t.Helper()
	b, err := l.Open(l.t.Context(), l.name)
	if err != nil {
		l.t.Fatal(err)
	}
	l.ring = b.Keyring
	server := httptest.NewServer(proxy.New(proxy.Config{
		Default: b.Served, Region: "us-east-1", Log: slog.New(slog.DiscardHandler),
		Credential: func(string) (proxy.Credential, bool) { return proxy.Credential{Secret: "secret", Manage: true}, true },
	}))
	l.t.Cleanup(server.Close)
	l.client = l.dial(server.URL, "id", "secret")
}

// send sends a request about the bucket, or fails the test, and gives the answer's body.
func (l *live) send(to *upstream.Client, r *upstream.Request) (http.Header, []byte) {
	l.t.Helper()
	var err error
	if r.Bucket, err = s3name.ParseBucket(l.name); err != nil {
		l.t.Fatal(err)
	}
	resp, err := to.Do(l.t.Context(), r)
	if err != nil {
		l.t.Fatalf("%s %v: %v", r.Method, r.Key, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return resp.Header, body
}

func keyOf(t *testing.T, key string) s3name.Key {
	t.Helper()
	k, err := s3name.ParseKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (l *live) put(to *upstream.Client, key, body string, header http.Header) {
	l.t.Helper()
	l.send(to, &upstream.Request{Method: http.MethodPut, Key: keyOf(l.t, key), Bytes: []byte(body), Header: header})
}

func (l *live) get(from *upstream.Client, key string) (http.Header, string) {
	l.t.Helper()
	header, body := l.send(from, &upstream.Request{Method: http.MethodGet, Key: keyOf(l.t, key)})
	return header, string(body)
}

// begin begins a multipart upload through the proxy.
func (l *live) begin(key string) s3name.UploadID {
	l.t.Helper()
	_, body := l.send(l.client, &upstream.Request{Method: http.MethodPost, Key: keyOf(l.t, key), Query: url.Values{"uploads": {""}}})
	_, rest, _ := bytes.Cut(body, []byte("<UploadId>"))
	id, _, _ := bytes.Cut(rest, []byte("<"))
	parsed, err := s3name.ParseUploadID(string(id))
	if err != nil {
		l.t.Fatal(err)
	}
	return parsed
}

// metadata are the headers that carry what the proxy needs of an object.
func metadata(h http.Header) http.Header {
	kept := http.Header{}
	for name, values := range h {
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			kept[name] = values
		}
	}
	return kept
}

// Open implements Buckets, as the others do: every bucket has the key file's key.
func (l *live) Open(_ context.Context, bucket string) (*Bucket, error) {
	key, err := localfile.Open(l.keyset)
	if err != nil {
		return nil, err
	}
	records := state.Records{Store: l.store}
	ring, err := kms.NewKeyring(kms.Config{Write: key, Records: records, Floors: records, Window: l.window, WindowObjects: 1000, CacheSize: 10, CacheTTL: time.Minute})
	served := object.Settings{Upstream: l.store, Keyring: ring, AllowPlaintextReads: l.plaintext, Passthrough: l.passthrough}
	return &Bucket{Name: bucket, Origin: bucket, Served: served, Keyring: ring, Records: records}, err
}

func (l *live) Records(_ context.Context, bucket string) (state.Records, string, error) {
	return state.Records{Store: l.store}, bucket, nil
}

func (l *live) WriteKey(context.Context, string) (kms.Key, string, error) {
	key, err := localfile.Open(l.keyset)
	return key, l.keyset, err
}

func (l *live) NamedKEK(ctx context.Context, _, name string) (string, bool, error) {
	key, err := localfile.Open(l.keyset)
	if err != nil || name == key.URI() {
		return name, true, err
	}
	kek, err := key.Named(ctx, name)
	if errors.Is(err, kms.ErrInvalid) {
		return name, false, nil
	}
	return kek, true, err
}

func (l *live) job() Job {
	return Job{Buckets: l, Rate: Rate{Concurrency: 4}, Progress: &counted{}, Log: slog.New(slog.DiscardHandler)}
}

// must runs one plan, and fails the test for any error or failure.
func must[R Report](l *live, plan Plan[R]) R {
	l.t.Helper()
	found, err := plan.Run(l.t.Context())
	if err != nil {
		l.t.Fatalf("%v: %v", plan, err)
	}
	if failures := found.Failures(); failures != nil {
		l.t.Fatalf("%v: %v", plan, failures)
	}
	return found
}

// counted is a progress that somebody looks at.
type counted struct{ walks, total int }

func (c *counted) Counts() bool { return true }
func (c *counted) Start(w Walk) { c.walks++; c.total += w.Total }
func (c *counted) Add(Step)     {}
func (c *counted) Finish()      {}
