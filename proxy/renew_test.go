package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/inplace"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
	"github.com/s3proxy/s3proxy/test/lab"
)

var stores = map[string]func(testing.TB) *lab.Store{"versitygw": lab.Versitygw, "minio": lab.MinIO}

func randomBytes(seed byte, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// onServer gives a proxy, with a bucket, before a store.
func onServer(t *testing.T, start func(testing.TB) *lab.Store) (*Proxy, *httptest.Server) {
	t.Helper()
	p := before(t, start(t))
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	mustAsk(t, s, "PUT", "/bucket", nil)
	return p, s
}

func mustAsk(t *testing.T, s *httptest.Server, method, path string, body []byte, header ...string) (*http.Response, string) {
	t.Helper()
	resp, text := ask(t, s, method, path, body, header...)
	if resp.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %s %s", method, path, resp.Status, text)
	}
	return resp, text
}

func TestACopyThatPassesTheStoresLimitGoesByParts(t *testing.T) {
	t.Parallel()
	for name, start := range stores {
		t.Run(name, func(t *testing.T) {
			p, s := onServer(t, start)
			p.others.Limits.CopyObject, p.others.Limits.CopyPart = 8<<20, 6<<20
			body := randomBytes(1, 20<<20)
			mustAsk(t, s, "PUT", "/bucket/large", body, "Content-Type", "text/plain", "X-Amz-Meta-Color", "red", "X-Amz-Tagging", "a=b")
			for _, to := range []string{"copy", "large"} { // another name, and onto itself
				_, text := mustAsk(t, s, "PUT", "/bucket/"+to, nil, "X-Amz-Copy-Source", "bucket/large", "X-Amz-Website-Redirect-Location", "/x")
				resp, got := mustAsk(t, s, "GET", "/bucket/"+to, nil)
				if h := resp.Header; got != string(body) || h.Get("Content-Type") != "text/plain" || h.Get("X-Amz-Meta-Color") != "red" {
					t.Errorf("%s: %d bytes, %v", to, len(got), h)
				}
				if etag := resp.Header.Get("Etag"); !strings.HasSuffix(etag, `-4"`) || !strings.Contains(text, strings.Trim(etag, `"`)) {
					t.Errorf("%s: ETag %s: %s", to, etag, text)
				}
				if _, tags := mustAsk(t, s, "GET", "/bucket/"+to+"?tagging=", nil); !strings.Contains(tags, "<Key>a</Key><Value>b</Value>") {
					t.Errorf("%s: tags %s", to, tags)
				}
				if _, list := mustAsk(t, s, "GET", "/bucket?uploads=", nil); strings.Contains(list, "<Upload>") {
					t.Errorf("%s: uploads that are left: %s", to, list)
				}
			}
			if resp, text := ask(t, s, "PUT", "/bucket/copy", nil, "X-Amz-Copy-Source", "bucket/large", "If-None-Match", "*"); resp.StatusCode != 412 {
				t.Errorf("If-None-Match on an object that is there: %s %s", resp.Status, text)
			}
		})
	}
}

// rewrapped is the change of a key's renewal.
func rewrapped(k object.Keyring, key string) func(context.Context, *inplace.Renewal) error {
	return func(ctx context.Context, n *inplace.Renewal) error {
		meta, err := k.WrapKey(ctx, kms.Name{Bucket: "bucket", Key: key, Kind: n.Meta.Kind}, n.DEK)
		if err != nil {
			return err
		}
		meta.Facts = n.Meta.Facts
		n.Meta = meta
		return nil
	}
}

// tellTheSame compares what two answers tell of an object.
func tellTheSame(a, b http.Header) bool {
	for _, h := range []http.Header{a, b} {
		for name := range h {
			ofObject := strings.HasPrefix(name, "X-Amz-Meta-") || slices.Contains([]string{
				"Etag", "Content-Length", "X-Amz-Version-Id", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Expires",
				"X-Amz-Storage-Class", "X-Amz-Website-Redirect-Location", "X-Amz-Object-Lock-Legal-Hold", "X-Amz-Object-Lock-Mode", "X-Amz-Object-Lock-Retain-Until-Date",
			}, name)
			if ofObject && !slices.Equal(a.Values(name), b.Values(name)) {
				return false
			}
		}
	}
	return true
}

func TestARenewedObjectKeepsAllThatItHas(t *testing.T) {
	t.Parallel()
	for name, start := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, s := onServer(t, start)
			p.largePut, p.largePart = 8<<20, 6<<20 // so that the store has parts
			b := p.others.Settings
			r := inplace.NewRenewer(b, state.Place{})
			for key, body := range map[string][]byte{"small": randomBytes(1, 1000), "streamed": randomBytes(2, 3<<20), "parts": randomBytes(3, 20<<20), "folder/": nil} {
				mustAsk(t, s, "PUT", "/bucket/"+key, body, "Content-Type", "text/x-own", "Cache-Control", "no-store", "Content-Encoding", "x-own", "X-Amz-Meta-Color", "red", "X-Amz-Tagging", "a=b%20c",
					"X-Amz-Storage-Class", "REDUCED_REDUNDANCY", "X-Amz-Website-Redirect-Location", "/elsewhere")
				raw := func() http.Header {
					resp, err := b.Upstream.Do(t.Context(), &upstream.Request{Method: "HEAD", Bucket: bucketNamed("bucket"), Key: keyNamed(key)})
					if err != nil {
						t.Fatal(err)
					}
					resp.Body.Close()
					return resp.Header
				}
				old := raw()
				if err := r.Renew(t.Context(), "bucket", key, rewrapped(b.Keyring, key)); err != nil {
					t.Fatalf("%s: %v", key, err)
				}
				renewed := raw()
				if renewed.Get(object.MetaHeaderPrefix+"Dek") == old.Get(object.MetaHeaderPrefix+"Dek") {
					t.Errorf("%s: the same wrapped key", key)
				}
				for _, h := range []http.Header{old, renewed} {
					for _, name := range []string{"Dek", "Window"} {
						h.Del(object.MetaHeaderPrefix + name)
					}
					h.Del("Last-Modified")
					object.TrimChunkedEncoding(h) // versitygw keeps it
				}
				// Neither store keeps both.
				header, want := "X-Amz-Storage-Class", "REDUCED_REDUNDANCY"
				if name == "versitygw" {
					header, want = "X-Amz-Website-Redirect-Location", "/elsewhere"
				}
				if old.Get(header) != want || renewed.Get(header) != want {
					t.Errorf("%s: %s was %q and is %q", key, header, old.Get(header), renewed.Get(header))
				}
				if !tellTheSame(old, renewed) {
					t.Errorf("%s: before %v\nand then %v", key, old, renewed)
				}
				if resp, got := mustAsk(t, s, "GET", "/bucket/"+key, nil); got != string(body) || resp.Header.Get("Content-Type") != old.Get("Content-Type") {
					t.Errorf("%s: %d bytes, %v", key, len(got), resp.Header)
				}
				if _, tags := mustAsk(t, s, "GET", "/bucket/"+key+"?tagging=", nil); !strings.Contains(tags, "<Value>b c</Value>") {
					t.Errorf("%s: tags %s", key, tags)
				}
			}
		})
	}
}

func TestAnothersWriteWinsOverARenewal(t *testing.T) {
	t.Parallel()
	for name, start := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, s := onServer(t, start)
			b := p.others.Settings
			p.largePut, p.largePart = 8<<20, 6<<20 // so that the store has parts
			for key, size := range map[string]int{"small": 1000, "large": 3 << 20, "parts": 14 << 20} {
				seed := byte(0)
				overwrite := func() { seed++; mustAsk(t, s, "PUT", "/bucket/"+key, randomBytes(seed, size)) }
				overwrite()
				calls := 0
				renew := func(times int, late bool) error {
					return inplace.NewRenewer(b, state.Place{}).Renew(t.Context(), "bucket", key, func(ctx context.Context, n *inplace.Renewal) error {
						calls++
						switch {
						case calls > times:
						case late: // between reading its bytes and writing them
							n.Length = n.Stored
							n.Body = func(old io.Reader) io.Reader {
								overwrite()
								return old
							}
						default:
							overwrite()
						}
						return rewrapped(b.Keyring, key)(ctx, n)
					})
				}
				for _, late := range []bool{false, true} {
					if late && key == "parts" {
						continue // MinIO lets nobody write what is read, and this passes its buffers
					}
					calls = 0
					if err := renew(1, late); err != nil || calls != 2 {
						t.Errorf("%s: %v after %d tries", key, err, calls)
					}
					if _, got := mustAsk(t, s, "GET", "/bucket/"+key, nil); got != string(randomBytes(seed, size)) {
						t.Errorf("%s: the write beside it is lost", key)
					}
				}
				calls = 0
				if err := renew(1000, key != "parts"); !errors.Is(err, state.ErrRaced) {
					t.Errorf("%s, written all the time: %v", key, err)
				}
				if _, got := mustAsk(t, s, "GET", "/bucket/"+key, nil); got != string(randomBytes(seed, size)) {
					t.Errorf("%s: the last write is lost", key)
				}
				// Of the metadata alone: the same plaintext, and all the same another state.
				color := func() string {
					resp, _ := mustAsk(t, s, "GET", "/bucket/"+key, nil)
					return resp.Header.Get("X-Amz-Meta-Color")
				}
				calls = 0
				err := inplace.NewRenewer(b, state.Place{}).Renew(t.Context(), "bucket", key, func(ctx context.Context, n *inplace.Renewal) error {
					if calls++; calls == 1 {
						mustAsk(t, s, "PUT", "/bucket/"+key, nil, "X-Amz-Copy-Source", "bucket/"+key, "X-Amz-Metadata-Directive", "REPLACE", "X-Amz-Meta-Color", "blue")
					}
					return rewrapped(b.Keyring, key)(ctx, n)
				})
				if err != nil || calls != 2 || color() != "blue" {
					t.Errorf("%s: %v after %d tries, and the metadata that a client wrote meanwhile is %q", key, err, calls, color())
				}
				stop := errors.New("stop")
				if err := inplace.NewRenewer(b, state.Place{}).Renew(t.Context(), "bucket", key, func(context.Context, *inplace.Renewal) error { return stop }); !errors.Is(err, stop) {
					t.Errorf("%s: %v", key, err)
				}
			}
		})
	}
}

func TestARenewalCanEncryptWhatWasPlaintext(t *testing.T) {
	t.Parallel()
	for name, start := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, s := onServer(t, start)
			b, body := p.others.Settings, randomBytes(1, 100_000)
			resp, err := b.Upstream.Do(t.Context(), &upstream.Request{Method: "PUT", Bucket: bucketNamed("bucket"), Key: keyNamed("k"), Bytes: body, Header: http.Header{"x-amz-meta-color": {"red"}}})
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			err = inplace.NewRenewer(b, state.Place{}).Renew(t.Context(), "bucket", "k", func(ctx context.Context, n *inplace.Renewal) error {
				dek, meta, err := b.Keyring.NewKey(ctx, kms.Name{Bucket: "bucket", Key: "k", Kind: envelope.KindSingle})
				if err != nil {
					return err
				}
				if n.Meta != nil || n.DEK != nil {
					return errors.New("it has a key")
				}
				if meta.Facts, err = dek.SealFacts(meta.Kind, n.Stored, envelope.Facts{}); err != nil {
					return err
				}
				n.Meta, n.Length = meta, envelope.StoredSize(n.Stored)
				n.Body = func(old io.Reader) io.Reader {
					return dek.SealObject(n.Stored, old, func() envelope.Facts { return envelope.Facts{} })
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if resp, got := mustAsk(t, s, "GET", "/bucket/k", nil); !bytes.Equal([]byte(got), body) || resp.Header.Get("X-Amz-Meta-Color") != "red" {
				t.Errorf("%d bytes, %v", len(got), resp.Header)
			}
		})
	}
}

func TestARenewedObjectKeepsItsLock(t *testing.T) {
	t.Parallel()
	for name, start := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := before(t, start(t))
			s := httptest.NewServer(p)
			t.Cleanup(s.Close)
			b := p.others.Settings
			mustAsk(t, s, "PUT", "/bucket", nil, "X-Amz-Bucket-Object-Lock-Enabled", "true")
			until := time.Now().Add(time.Hour).UTC().Truncate(time.Second).Format(time.RFC3339)
			body := randomBytes(1, 1000)
			first, _ := mustAsk(t, s, "PUT", "/bucket/k", body, "X-Amz-Object-Lock-Mode", "GOVERNANCE", "X-Amz-Object-Lock-Retain-Until-Date", until, "X-Amz-Object-Lock-Legal-Hold", "ON")
			err := inplace.NewRenewer(b, state.Place{}).Renew(t.Context(), "bucket", "k", rewrapped(b.Keyring, "k"))
			refuses := name == "versitygw" // which lets nobody write such a key, not even a new version
			if refuses && !errors.Is(err, state.ErrLocked) || !refuses && err != nil {
				t.Fatal(err)
			}
			resp, got := mustAsk(t, s, "GET", "/bucket/k", nil)
			if refuses {
				if got != string(body) {
					t.Errorf("%d bytes", len(got))
				}
				return
			}
			h := resp.Header
			if got != string(body) || h.Get("X-Amz-Object-Lock-Mode") != "GOVERNANCE" || h.Get("X-Amz-Object-Lock-Legal-Hold") != "ON" || !strings.HasPrefix(h.Get("X-Amz-Object-Lock-Retain-Until-Date"), strings.TrimSuffix(until, "Z")) {
				t.Errorf("%d bytes, %v", len(got), h)
			}
			if v := h.Get("X-Amz-Version-Id"); v == "" || v == first.Header.Get("X-Amz-Version-Id") {
				t.Errorf("the version is %q, it was %q", v, first.Header.Get("X-Amz-Version-Id"))
			}
		})
	}
}

// Stores go on telling of a retention that is over, and take none that is.
func TestARetentionThatIsOverStopsNoRenewal(t *testing.T) {
	t.Parallel()
	for name, start := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := before(t, start(t))
			s := httptest.NewServer(p)
			t.Cleanup(s.Close)
			b := p.others.Settings
			p.largePut, p.largePart = 8<<20, 6<<20 // so that the store has parts
			mustAsk(t, s, "PUT", "/bucket", nil, "X-Amz-Bucket-Object-Lock-Enabled", "true")
			bodies := map[string][]byte{"small": randomBytes(1, 1000), "parts": randomBytes(2, 14<<20)}
			for key, body := range bodies {
				until := time.Now().Add(4 * time.Second).UTC().Format(time.RFC3339)
				mustAsk(t, s, "PUT", "/bucket/"+key, body, "Content-Type", "text/x-own", "X-Amz-Meta-Color", "red", "X-Amz-Object-Lock-Mode", "GOVERNANCE", "X-Amz-Object-Lock-Retain-Until-Date", until)
			}
			time.Sleep(5 * time.Second)
			for key, body := range bodies {
				resp, _ := mustAsk(t, s, "HEAD", "/bucket/"+key, nil)
				if resp.Header.Get("X-Amz-Object-Lock-Mode") == "" {
					t.Errorf("%s: nothing is told of the retention: nothing was tested", key)
				}
				if err := inplace.NewRenewer(b, state.Place{}).Renew(t.Context(), "bucket", key, rewrapped(b.Keyring, key)); err != nil {
					t.Errorf("%s: %v", key, err)
				}
				resp, got := mustAsk(t, s, "GET", "/bucket/"+key, nil)
				if h := resp.Header; got != string(body) || h.Get("Content-Type") != "text/x-own" || h.Get("X-Amz-Meta-Color") != "red" || h.Get("X-Amz-Object-Lock-Mode") != "" {
					t.Errorf("%s: %d bytes, %v", key, len(got), h)
				}
			}
		})
	}
}

func TestARenewalOfAnArchivedObjectSaysSo(t *testing.T) {
	t.Parallel()
	var archived atomic.Bool
	p := before(t, inFront(t, lab.MinIO(t), func(w http.ResponseWriter, r *http.Request) bool {
		reads := r.Method == http.MethodGet && r.Header.Get("Range") != "" || r.Header.Get("X-Amz-Copy-Source") != ""
		if !reads || !archived.Load() {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "<Error><Code>InvalidObjectState</Code><Message>The operation is not valid for the object's storage class</Message><StorageClass>GLACIER</StorageClass></Error>")
		return true
	}))
	p.largePut, p.largePart = 8<<20, 6<<20 // so that the store has parts
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	b := p.others.Settings
	mustAsk(t, s, "PUT", "/bucket", nil, "X-Amz-Bucket-Object-Lock-Enabled", "true")
	mustAsk(t, s, "PUT", "/bucket/small", randomBytes(1, 1000))
	mustAsk(t, s, "PUT", "/bucket/parts", randomBytes(2, 14<<20))
	resp, err := b.Upstream.Do(t.Context(), &upstream.Request{Method: "PUT", Bucket: bucketNamed("bucket"), Key: keyNamed("plain"), Bytes: []byte("plaintext"), Header: http.Header{"Content-Md5": {upstream.ContentMD5([]byte("plaintext"))}, "X-Amz-Object-Lock-Legal-Hold": {"ON"}}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	r := inplace.NewRenewer(b, state.Place{})
	for key, change := range map[string]func(context.Context, *inplace.Renewal) error{
		"small": rewrapped(b.Keyring, "small"),
		"parts": func(ctx context.Context, n *inplace.Renewal) error { // from here on: its parts are copied
			archived.Store(true)
			return rewrapped(b.Keyring, "parts")(ctx, n)
		},
		"plain": func(ctx context.Context, n *inplace.Renewal) error { return r.Encrypt(ctx, "bucket", "plain", n) },
	} {
		archived.Store(key != "parts")
		err := r.Renew(t.Context(), "bucket", key, change)
		if !errors.Is(err, inplace.ErrArchived) || !errors.Is(err, s3err.InvalidObjectState) || errors.Is(err, state.ErrLocked) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestPlaintextOfAnySizeIsEncryptedInPlace(t *testing.T) {
	t.Parallel()
	for name, start := range stores {
		t.Run(name, func(t *testing.T) {
			p, s := onServer(t, start)
			p.others.Limits.CopyObject, p.others.Limits.CopyPart = 8<<20, 6<<20 // so that the store has parts
			b := p.others.Settings
			r := inplace.NewRenewer(b, state.Place{})
			encrypt := func(key string) error {
				return r.Renew(t.Context(), "bucket", key, func(ctx context.Context, n *inplace.Renewal) error { return r.Encrypt(ctx, "bucket", key, n) })
			}
			for key, body := range map[string][]byte{"nothing": nil, "folder/": nil, "small": randomBytes(1, 1000), "large": randomBytes(3, 20<<20)} {
				resp, err := b.Upstream.Do(t.Context(), &upstream.Request{Method: "PUT", Bucket: bucketNamed("bucket"), Key: keyNamed(key), Bytes: body, Header: http.Header{"x-amz-meta-color": {"red"}, "Content-Type": {"text/x-own"}}})
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if err := encrypt(key); err != nil {
					t.Fatalf("%s: %v", key, err)
				}
				resp, got := mustAsk(t, s, "GET", "/bucket/"+key, nil)
				if got != string(body) || resp.Header.Get("X-Amz-Meta-Color") != "red" || key != "folder/" && resp.Header.Get("Content-Type") != "text/x-own" {
					t.Errorf("%s: %d bytes, %v", key, len(got), resp.Header)
				}
				found, err := object.Inspect(t.Context(), b.Upstream, "bucket", key, "")
				if err != nil || found.Metadata == nil || found.Size != int64(len(body)) {
					t.Errorf("%s: %+v, %v", key, found, err)
				}
				if parts := strings.HasSuffix(found.ETag, `-4"`); parts != (key == "large") {
					t.Errorf("%s: the store's ETag is %s", key, found.ETag)
				}
				if err := encrypt(key); !errors.Is(err, inplace.ErrEncrypted) {
					t.Errorf("%s, once more: %v", key, err)
				}
			}
		})
	}
}
