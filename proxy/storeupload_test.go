package proxy

import (
	"bytes"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/localfile"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
	"github.com/s3proxy/s3proxy/test/lab"
)

// smallLimits gives a proxy before a real store that cuts what passes 8 MiB into
// parts of 6 MiB, as it does from 5 GiB on.
func smallLimits(t *testing.T, store *lab.Store) *httptest.Server {
	t.Helper()
	p := before(t, store)
	p.largePut, p.largePart = 8<<20, 6<<20
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	return s
}

// before gives a proxy before a real store.
func before(t *testing.T, store *lab.Store) *Proxy {
	t.Helper()
	return beforeWith(t, store, upstream.PayloadChecked)
}

func beforeWith(t *testing.T, store *lab.Store, payload upstream.Payload) *Proxy {
	t.Helper()
	keyset := filepath.Join(t.TempDir(), "keyset.json")
	if err := localfile.Create(keyset); err != nil {
		t.Fatal(err)
	}
	return beforeKey(t, store, payload, must(localfile.Open(keyset)))
}

func beforeKey(t *testing.T, store *lab.Store, payload upstream.Payload, kek kms.Key) *Proxy {
	t.Helper()
	endpoint, err := url.Parse(store.URL)
	if err != nil {
		t.Fatal(err)
	}
	client, err := upstream.New(upstream.Config{Endpoint: endpoint, Region: "us-east-1", Payload: payload, Credentials: credentials.NewStaticCredentialsProvider(store.AccessKey, store.SecretKey, "")})
	if err != nil {
		t.Fatal(err)
	}
	keyring, err := kms.NewKeyring(kms.Config{Write: kek, Records: state.Records{Store: client}, Window: time.Hour, WindowObjects: 1000, CacheSize: 10, CacheTTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return New(Config{
		Default: object.Settings{Upstream: client, Keyring: keyring}, Region: "us-east-1", Log: slog.New(slog.DiscardHandler),
		Credential: func(id string) (Credential, bool) { return Credential{Secret: "secret", Manage: true}, id == "client" },
	})
}

func TestAPutThatPassesTheStoresLimitGoesUpInParts(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB) *lab.Store{"versitygw": lab.Versitygw, "minio": lab.MinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := smallLimits(t, start(t))
			if resp, body := ask(t, s, "PUT", "/bucket", nil); resp.StatusCode != 200 {
				t.Fatalf("CreateBucket: %s %s", resp.Status, body)
			}
			body := make([]byte, 20<<20)
			rand.NewChaCha8([32]byte{1}).Read(body)
			noUploads := func() {
				t.Helper()
				if resp, list := ask(t, s, "GET", "/bucket?uploads=&prefix=large", nil); resp.StatusCode != 200 || strings.Contains(list, "<Upload>") {
					t.Errorf("uploads that are left: %s %s", resp.Status, list)
				}
			}
			if resp, text := ask(t, s, "PUT", "/bucket/large", body, "Content-Md5", "1B2M2Y8AsgTpgAmY7PhCfg=="); resp.StatusCode != 400 || !strings.Contains(text, "BadDigest") {
				t.Errorf("a wrong Content-MD5: %s %s", resp.Status, text)
			}
			noUploads()
			resp, text := ask(t, s, "PUT", "/bucket/large", body, "Content-Type", "text/plain", "X-Amz-Meta-Color", "red", "If-None-Match", "*")
			etag := resp.Header.Get("Etag")
			if resp.StatusCode != 200 || !strings.HasSuffix(etag, `-4"`) {
				t.Fatalf("PUT: %s, ETag %s: %s", resp.Status, etag, text)
			}
			if resp, text := ask(t, s, "PUT", "/bucket/large", body[1:], "If-None-Match", "*"); resp.StatusCode != 412 {
				t.Errorf("If-None-Match on an object that is there: %s %s", resp.Status, text)
			}
			noUploads()
			resp, got := ask(t, s, "GET", "/bucket/large", nil)
			if h := resp.Header; !bytes.Equal([]byte(got), body) || h.Get("Etag") != etag || h.Get("Content-Type") != "text/plain" || h.Get("X-Amz-Meta-Color") != "red" {
				t.Errorf("GET: %s with %d bytes, %v", resp.Status, len(got), h)
			}
			if resp, got := ask(t, s, "GET", "/bucket/large", nil, "Range", "bytes=6291000-6292000"); resp.StatusCode != 206 || !bytes.Equal([]byte(got), body[6291000:6292001]) {
				t.Errorf("a range over the parts' edge: %s with %d bytes", resp.Status, len(got))
			}
		})
	}
}
