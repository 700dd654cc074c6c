package proxy

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/proxy/inplace"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
	"github.com/s3proxy/s3proxy/test/lab"
)

// lowLimits makes 3 MiB a large body, and an object of 14 MiB one that is copied in parts.
func lowLimits(p *Proxy) {
	p.others.Limits = object.Limits{CopyObject: 8 << 20, CopyPart: 6 << 20, Buffer: 1 << 20, Stall: 2 * time.Second}
}

// besideRenewal is a store whose hook runs once, when it is armed and a request comes that
// is late in a renewal.
type besideRenewal struct {
	late  func(*http.Request) bool
	write func()
	armed atomic.Bool
}

func (b *besideRenewal) see(_ http.ResponseWriter, r *http.Request) bool {
	if b.armed.Load() && b.late(r) && b.armed.CompareAndSwap(true, false) {
		b.write()
	}
	return false
}

// By its ETag nobody can tell an empty object from itself with other metadata, or a copy
// from one that was made again.
func TestAWriteThatKeepsTheETagWinsOverARenewal(t *testing.T) {
	t.Parallel()
	whole := func(r *http.Request) bool { // of what is not in parts: its bytes are read
		return r.Method == http.MethodGet && strings.HasPrefix(r.Header.Get("Range"), "bytes=0-")
	}
	type write struct {
		name, key string
		size      int
		late      func(*http.Request) bool
	}
	cases := []write{
		{"of no bytes", "folder/", 0, func(r *http.Request) bool { return r.URL.Query().Has("acl") }},
		{"small", "small", 1000, whole},
		{"streamed", "streamed", 3 << 20, func(r *http.Request) bool { return r.Method == http.MethodPut && r.Header.Get("If-Match") != "" }},
		{"read whole where the store locks", "streamed", 3 << 20, whole},
		{"in parts", "parts", 14 << 20, func(r *http.Request) bool {
			return r.URL.Query().Has("partNumber") && r.Header.Get("X-Amz-Copy-Source") != ""
		}},
	}
	run := func(t *testing.T, store *lab.Store, payload upstream.Payload, cases []write) {
		beside := &besideRenewal{}
		p := beforeWith(t, inFront(t, store, beside.see), payload)
		lowLimits(p)
		s := httptest.NewServer(p)
		t.Cleanup(s.Close)
		b := p.others.Settings
		mustAsk(t, s, "PUT", "/bucket", nil)
		for _, c := range cases {
			body := randomBytes(1, c.size)
			etag := func() string {
				resp, err := b.Upstream.Do(t.Context(), &upstream.Request{Method: "HEAD", Bucket: bucketNamed("bucket"), Key: keyNamed(c.key)})
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				return resp.Header.Get("Etag")
			}
			write := func(color string) {
				headers := []string{"X-Amz-Meta-Color", color}
				if c.size > 0 {
					headers = append(headers, "X-Amz-Copy-Source", "bucket/source-"+c.key, "X-Amz-Metadata-Directive", "REPLACE")
				}
				if resp, text := ask(t, s, "PUT", "/bucket/"+c.key, nil, headers...); resp.StatusCode != 200 {
					t.Errorf("%s: the write beside it: %s %s", c.name, resp.Status, text)
				}
			}
			mustAsk(t, s, "PUT", "/bucket/source-"+strings.TrimSuffix(c.key, "/"), body)
			write("red")
			before := etag()
			calls := 0
			beside.late, beside.write = c.late, func() { write("blue") }
			beside.armed.Store(true)
			err := inplace.NewRenewer(b, state.Place{}).Renew(t.Context(), "bucket", c.key, func(ctx context.Context, n *inplace.Renewal) error {
				calls++
				return rewrapped(b.Keyring, c.key)(ctx, n)
			})
			resp, got := mustAsk(t, s, "GET", "/bucket/"+c.key, nil)
			if color := resp.Header.Get("X-Amz-Meta-Color"); err != nil || calls < 2 || color != "blue" || got != string(body) {
				t.Errorf("%s: %v after %d tries, the metadata that a client wrote meanwhile is %q, and %d bytes", c.name, err, calls, color, len(got))
			}
			if after := etag(); after != before || beside.armed.Load() {
				t.Errorf("%s: the ETag was %s and is %s, armed: %v: nothing was tested", c.name, before, after, beside.armed.Load())
			}
		}
		if resp, list := ask(t, s, "GET", "/bucket?uploads=", nil); resp.StatusCode != 200 || strings.Contains(list, "<Upload>") {
			t.Errorf("uploads that are left: %s %s", resp.Status, list)
		}
	}
	for name, start := range stores {
		t.Run(name, func(t *testing.T) { run(t, start(t), upstream.PayloadChecked, cases) })
	}
	t.Run("signed", func(t *testing.T) { run(t, lab.Versitygw(t), upstream.PayloadSigned, cases[1:3]) })
	// What cannot see that a body lacks its end gets none that does.
	t.Run("unsigned", func(t *testing.T) {
		run(t, lab.Versitygw(t), upstream.PayloadUnsigned, []write{cases[1], cases[3]})
	})
}

// The same of plaintext: a client that goes past the proxy writes the same bytes again.
func TestAWriteOfTheSameBytesWinsOverTheirEncryption(t *testing.T) {
	t.Parallel()
	for name, start := range stores {
		t.Run(name, func(t *testing.T) {
			beside := &besideRenewal{}
			p := before(t, inFront(t, start(t), beside.see))
			p.others.Limits.Buffer, p.others.Limits.Stall = 1<<20, 2*time.Second
			s := httptest.NewServer(p)
			t.Cleanup(s.Close)
			b := p.others.Settings
			mustAsk(t, s, "PUT", "/bucket", nil)
			r := inplace.NewRenewer(b, state.Place{})
			for key, c := range map[string]struct {
				size int
				late func(*http.Request) bool
			}{
				"nothing": {0, func(r *http.Request) bool { return r.URL.Query().Has("acl") }},
				"small":   {1000, func(r *http.Request) bool { return r.Method == http.MethodGet && r.Header.Get("Range") != "" }},
				// Not the part of the probe of the store's conditions, which is before the object is read.
				"large": {3 << 20, func(r *http.Request) bool {
					return r.URL.Query().Has("partNumber") && strings.HasSuffix(r.URL.Path, "/large")
				}},
			} {
				body := randomBytes(1, c.size)
				write := func(color string) {
					resp, err := b.Upstream.Do(context.Background(), &upstream.Request{Method: "PUT", Bucket: bucketNamed("bucket"), Key: keyNamed(key), Bytes: body, Header: http.Header{"x-amz-meta-color": {color}}})
					if err != nil {
						t.Errorf("%s: the write beside it: %v", key, err)
						return
					}
					resp.Body.Close()
				}
				write("red")
				calls := 0
				beside.late, beside.write = c.late, func() { write("blue") }
				beside.armed.Store(true)
				err := r.Renew(t.Context(), "bucket", key, func(ctx context.Context, n *inplace.Renewal) error {
					calls++
					return r.Encrypt(ctx, "bucket", key, n)
				})
				resp, got := mustAsk(t, s, "GET", "/bucket/"+key, nil)
				if color := resp.Header.Get("X-Amz-Meta-Color"); err != nil || calls != 2 || color != "blue" || got != string(body) {
					t.Errorf("%s: %v after %d tries, the metadata that a client wrote meanwhile is %q, and %d bytes", key, err, calls, color, len(got))
				}
			}
		})
	}
}

// MinIO lets nobody read an object while it is written on a condition, and nobody write it
// while it is read, so that what passes the buffers between cannot stream.
func TestALargeObjectIsWrittenAgainWhereTheStoreLocksIt(t *testing.T) {
	t.Parallel()
	for name, start := range stores {
		t.Run(name, func(t *testing.T) {
			p, s := onServer(t, start)
			p.others.Limits.Buffer, p.others.Limits.Stall = 1<<20, 2*time.Second
			b, body := p.others.Settings, randomBytes(1, 48<<20)
			r := inplace.NewRenewer(b, state.Place{})
			first, _ := mustAsk(t, s, "PUT", "/bucket/renewed", body)
			resp, err := b.Upstream.Do(t.Context(), &upstream.Request{Method: "PUT", Bucket: bucketNamed("bucket"), Key: keyNamed("encrypted"), Bytes: body})
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			for range 2 { // once it is known how the store does it, too
				if err := r.Renew(t.Context(), "bucket", "renewed", rewrapped(b.Keyring, "renewed")); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.Renew(t.Context(), "bucket", "encrypted", func(ctx context.Context, n *inplace.Renewal) error { return r.Encrypt(ctx, "bucket", "encrypted", n) }); err != nil {
				t.Fatal(err)
			}
			mustAsk(t, s, "PUT", "/bucket/updated", body)
			mustAsk(t, s, "PUT", "/bucket/updated", nil, "X-Amz-Copy-Source", "bucket/updated", "X-Amz-Metadata-Directive", "REPLACE", "X-Amz-Meta-Color", "blue")
			for _, key := range []string{"renewed", "encrypted", "updated"} {
				resp, got := mustAsk(t, s, "GET", "/bucket/"+key, nil)
				if h := resp.Header; got != string(body) || key == "renewed" && h.Get("Etag") != first.Header.Get("Etag") || key == "updated" && h.Get("X-Amz-Meta-Color") != "blue" {
					t.Errorf("%s: %d bytes, ETag %s, it was %s: %v", key, len(got), h.Get("Etag"), first.Header.Get("Etag"), h)
				}
			}
		})
	}
}
