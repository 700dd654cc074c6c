package proxy

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/localfile"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// countedKey counts what the KMS is asked to wrap.
type countedKey struct {
	kms.Key
	wraps atomic.Int64
}

func (k *countedKey) Wrap(ctx context.Context, plaintext []byte, c kms.Context) (kms.Wrapped, error) {
	k.wraps.Add(1)
	return k.Key.Wrap(ctx, plaintext, c)
}

func TestAWriteThatTheStoreWillNotHaveCostsNoKeyAndNoRecord(t *testing.T) {
	t.Parallel()
	for name, start := range stores {
		t.Run(name, func(t *testing.T) {
			keyset := filepath.Join(t.TempDir(), "keyset.json")
			if err := localfile.Create(keyset); err != nil {
				t.Fatal(err)
			}
			key := &countedKey{Key: must(localfile.Open(keyset))}
			p := beforeKey(t, start(t), upstream.PayloadChecked, key)
			p.cfg.AnonymousToStore = true
			s := httptest.NewServer(p)
			t.Cleanup(s.Close)
			mustAsk(t, s, "PUT", "/private", nil)
			mustAsk(t, s, "PUT", "/public", nil)
			unsigned := func(method, path string, size int) int {
				status, _ := send(t, must(http.NewRequestWithContext(t.Context(), method, s.URL+path, bytes.NewReader(make([]byte, size)))))
				return status
			}
			for _, size := range []int{0, 1000, 3 << 20} {
				if status := unsigned("PUT", "/private/k", size); status != 403 {
					t.Errorf("an unsigned PUT of %d bytes: %d", size, status)
				}
				if status := unsigned("PUT", "/missing/k", size); status != 403 && status != 404 {
					t.Errorf("an unsigned PUT of %d bytes into a bucket that is not there: %d", size, status)
				}
				if resp, body := ask(t, s, "PUT", "/missing/k", make([]byte, size)); resp.StatusCode != 404 || !strings.Contains(body, "NoSuchBucket") {
					t.Errorf("a PUT of %d bytes into a bucket that is not there: %s %s", size, resp.Status, body)
				}
			}
			if status := unsigned("POST", "/private/k?uploads", 0); status != 403 {
				t.Errorf("an unsigned Create: %d", status)
			}
			if status := unsigned("POST", "/missing/k?uploads", 0); status != 403 && status != 404 {
				t.Errorf("an unsigned Create in a bucket that is not there: %d", status)
			}
			if resp, _ := ask(t, s, "POST", "/missing/k?uploads", nil); resp.StatusCode != 404 {
				t.Errorf("a Create in a bucket that is not there: %s", resp.Status)
			}
			records := 0
			if err := (state.Records{Store: p.others.Upstream}).List(t.Context(), "private", func(state.ListedRecord) error { records++; return nil }); err != nil {
				t.Fatal(err)
			}
			if n := key.wraps.Load(); n != 0 || records != 0 {
				t.Errorf("the KMS was called %d times, and %d records were made", n, records)
			}
			mustAsk(t, s, "PUT", "/public?policy", []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":["s3:PutObject"],"Resource":"arn:aws:s3:::public/*"}]}`))
			for _, size := range []int{1000, 3 << 20} {
				if status := unsigned("PUT", "/public/k", size); status != 200 {
					t.Errorf("an unsigned PUT of %d bytes that the store allows: %d", size, status)
				}
				if _, got := mustAsk(t, s, "GET", "/public/k", nil); len(got) != size {
					t.Errorf("%d bytes of %d", len(got), size)
				}
			}
			if n := key.wraps.Load(); n != 1 {
				t.Errorf("the KMS was called %d times for one window", n)
			}
		})
	}
}
