package proxy

import (
	"bytes"
	"context"
	"crypto/md5"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/localfile"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/sigv4"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// fakeStore is a store that does what a test tells it to: what a hostile or a
// broken one may do, and no real one does on demand. What S3 does is never
// proven against it. Without a hook it keeps objects.
type fakeStore struct {
	mu      sync.Mutex
	objects map[string]fakeObject
	asked   []string
	hook    func(w http.ResponseWriter, r *http.Request) (done bool)
}

type fakeObject struct {
	header http.Header
	body   []byte
}

func (f *fakeStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.asked = append(f.asked, r.Method+" "+r.URL.Path)
	hook := f.hook
	f.mu.Unlock()
	if hook != nil && hook(w, r) {
		return
	}
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	o, ok := f.objects[r.URL.Path]
	switch r.Method {
	case http.MethodPut:
		header := http.Header{"Etag": {fmt.Sprintf(`"%x"`, md5.Sum(body))}}
		for name, values := range r.Header {
			if strings.HasPrefix(name, "X-Amz-Meta-") {
				header[name] = values
			}
		}
		f.objects[r.URL.Path] = fakeObject{header, body}
		w.Header()["Etag"] = header["Etag"]
	case http.MethodDelete:
		delete(f.objects, r.URL.Path)
	}
	f.mu.Unlock() // a body is sent while others are asked for
	switch {
	case r.Method == http.MethodPut:
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	case !ok:
		w.WriteHeader(http.StatusNotFound)
	default:
		for name, values := range o.header {
			w.Header()[name] = values
		}
		http.ServeContent(w, r, "", time.Unix(1e9, 0), bytes.NewReader(o.body))
	}
}

// The names of tests are none that anybody has to check.
func bucketNamed(name string) s3name.Bucket { return must(s3name.ParseBucket(name)) }
func keyNamed(key string) s3name.Key        { return must(s3name.ParseKey(key)) }
func uploadNamed(id string) s3name.UploadID { return must(s3name.ParseUploadID(id)) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// has tells whether the store keeps an object.
func (f *fakeStore) has(path string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.objects[path]
	return ok
}

// count tells how often the store was asked for something.
func (f *fakeStore) count(what string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, a := range f.asked {
		if strings.Contains(a, what) {
			n++
		}
	}
	return n
}

// proxyBefore gives a proxy for the fake store; its own credentials there are
// UPKEY with the session token UPTOKEN.
func proxyBefore(t *testing.T, f *fakeStore, region string) *httptest.Server {
	t.Helper()
	f.objects = map[string]fakeObject{}
	store := httptest.NewServer(f)
	t.Cleanup(store.Close)
	return proxyAt(t, store.URL, region, nil)
}

// proxyAt is the same for a store at a URL; change, if not nil, may change the settings.
func proxyAt(t *testing.T, store, region string, change func(*Config)) *httptest.Server {
	t.Helper()
	endpoint, err := url.Parse(store)
	if err != nil {
		t.Fatal(err)
	}
	client, err := upstream.New(upstream.Config{Endpoint: endpoint, Region: region, Payload: upstream.PayloadUnsigned, Credentials: credentials.NewStaticCredentialsProvider("UPKEY", "UPSECRET", "UPTOKEN")})
	if err != nil {
		t.Fatal(err)
	}
	keyset := filepath.Join(t.TempDir(), "keyset.json")
	if err := localfile.Create(keyset); err != nil {
		t.Fatal(err)
	}
	kek, err := localfile.Open(keyset)
	if err != nil {
		t.Fatal(err)
	}
	keyring, err := kms.NewKeyring(kms.Config{Write: kek, Records: state.Records{Store: client}, Window: time.Hour, WindowObjects: 1000, CacheSize: 10, CacheTTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	c := Config{
		Default: object.Settings{Upstream: client, Keyring: keyring}, Region: "us-east-1", Log: slog.New(slog.DiscardHandler),
		Credential: func(id string) (Credential, bool) { return Credential{Secret: "secret", Manage: true}, id == "client" },
	}
	if change != nil {
		change(&c)
	}
	s := httptest.NewServer(New(c))
	t.Cleanup(s.Close)
	return s
}

// signed is a request of the client's; headers are pairs.
func signed(t *testing.T, s *httptest.Server, method, path string, body []byte, headers ...string) *http.Request {
	t.Helper()
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, reader)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	creds := aws.Credentials{AccessKeyID: "client", SecretAccessKey: "secret"}
	if err := sigv4.NewSigner("us-east-1").Sign(context.Background(), r, creds, sigv4.UnsignedPayload, time.Now()); err != nil {
		t.Fatal(err)
	}
	return r
}

// ask sends a signed request; headers are pairs.
func ask(t *testing.T, s *httptest.Server, method, path string, body []byte, headers ...string) (*http.Response, string) {
	t.Helper()
	r := signed(t, s, method, path, body, headers...)
	client := &http.Client{Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(out)
}

// putStream sends a PUT of n announced bytes.
func putStream(t *testing.T, s *httptest.Server, body io.Reader, n int64) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL+"/bucket/streamed", body)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = n
	creds := aws.Credentials{AccessKeyID: "client", SecretAccessKey: "secret"}
	if err := sigv4.NewSigner("us-east-1").Sign(context.Background(), r, creds, sigv4.UnsignedPayload, time.Now()); err != nil {
		t.Fatal(err)
	}
	// Not "Connection: close": net/http looks at the rest of the body only where
	// the connection may serve on.
	return (&http.Client{Timeout: time.Minute}).Do(r)
}
