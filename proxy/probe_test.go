package proxy

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/s3proxy/s3proxy/proxy/inplace"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// careless is a store that takes probes as if they had no If-Match: those of a PUT, or those
// of the end of an upload.
type careless struct {
	raw    *upstream.Client // the store behind
	method string
	probes atomic.Int32 // of both kinds
}

func (c *careless) take(w http.ResponseWriter, r *http.Request) bool {
	if r.Header.Get("If-Match") == "" || !strings.Contains(r.URL.Path, "/.s3proxy/") {
		return false
	}
	c.probes.Add(1)
	if r.Method != c.method {
		return false
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	h := http.Header{}
	for name, v := range r.Header {
		if strings.HasPrefix(name, "Content-") && name != "Content-Length" || strings.HasPrefix(name, "X-Amz-Object-Lock-") {
			h[name] = v
		}
	}
	q := r.URL.Query()
	upload, _, err := s3name.TakeIDs(q)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	q.Del("uploadId")
	resp, err := c.raw.Do(r.Context(), &upstream.Request{Method: r.Method, Bucket: bucketNamed(bucket), Key: keyNamed(key), UploadID: upload, Query: q, Header: h, Bytes: body})
	var refused *s3err.Error
	if errors.As(err, &refused) {
		w.WriteHeader(refused.Status)
		return true
	}
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer resp.Body.Close()
	maps.Copy(w.Header(), resp.Header)
	_, _ = io.Copy(w, resp.Body)
	return true
}

// leftOf lists what a bucket has of probes: versions, and uploads in progress.
func leftOf(t *testing.T, raw *upstream.Client, bucket string) (left []string) {
	t.Helper()
	o := object.New(object.Settings{Upstream: raw}, state.Place{}, nil)
	page, err := o.Upstream.ListAny(t.Context(), upstream.Request{Bucket: bucketNamed(bucket)}, "", "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range page.Entries() {
		if strings.Contains(string(e.Key), "probe") {
			left = append(left, string(e.Key))
		}
	}
	resp, err := raw.Do(t.Context(), &upstream.Request{Method: "GET", Bucket: bucketNamed(bucket), Query: url.Values{"uploads": {""}, "prefix": {".s3proxy/"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	list, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(list), "<Upload>") {
		left = append(left, string(list))
	}
	return left
}

// retainAll gives a bucket a retention that every write gets by default.
func retainAll(t *testing.T, raw *upstream.Client, bucket string) {
	t.Helper()
	doc := []byte(`<ObjectLockConfiguration xmlns="` + s3xml.Namespace + `"><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>`)
	resp, err := raw.Do(t.Context(), &upstream.Request{Method: "PUT", Bucket: bucketNamed(bucket), Query: url.Values{"object-lock": {""}}, Header: http.Header{"Content-Md5": {upstream.ContentMD5(doc)}}, Bytes: doc})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

func TestAStoreThatHoldsNoWriteToItsIfMatchIsRefused(t *testing.T) {
	t.Parallel()
	for name, start := range stores {
		for what, method := range map[string]string{"a PUT": http.MethodPut, "the end of an upload": http.MethodPost} {
			t.Run(name+", "+what, func(t *testing.T) {
				t.Parallel()
				store := start(t)
				c := &careless{raw: before(t, store).others.Upstream, method: method}
				p := before(t, inFront(t, store, c.take))
				s := httptest.NewServer(p)
				t.Cleanup(s.Close)
				b := p.others.Settings
				mustAsk(t, s, "PUT", "/bucket", nil)
				mustAsk(t, s, "PUT", "/bucket/k", randomBytes(1, 1000))
				r := inplace.NewRenewer(b, state.Place{})
				for range 2 { // what is missing is not remembered
					if err := r.Renew(t.Context(), "bucket", "k", rewrapped(b.Keyring, "k")); !errors.Is(err, inplace.ErrNoConditions) {
						t.Errorf("a renewal: %v", err)
					}
				}
				if resp, text := ask(t, s, "PUT", "/bucket/k", nil, "X-Amz-Copy-Source", "bucket/k", "X-Amz-Metadata-Directive", "REPLACE"); resp.StatusCode != 501 || !strings.Contains(text, "If-Match") {
					t.Errorf("an update of metadata: %s %s", resp.Status, text)
				}
				if left := leftOf(t, c.raw, "bucket"); left != nil {
					t.Errorf("left of the probes: %v", left)
				}
				probes := c.probes.Load()
				r.OnlyWriter = true
				if err := r.Renew(t.Context(), "bucket", "k", rewrapped(b.Keyring, "k")); err != nil || c.probes.Load() != probes {
					t.Errorf("by the only writer: %v, and %d probes", err, c.probes.Load()-probes)
				}
				// What was made under a retention cannot be removed at once from every store. That
				// is no reason to go on, and it is told.
				mustAsk(t, s, "PUT", "/locked", nil, "X-Amz-Bucket-Object-Lock-Enabled", "true")
				retainAll(t, c.raw, "locked")
				mustAsk(t, s, "PUT", "/locked/k", randomBytes(1, 1000))
				err := inplace.NewRenewer(b, state.Place{}).Renew(t.Context(), "locked", "k", func(context.Context, *inplace.Renewal) error { return nil })
				left := leftOf(t, c.raw, "locked") != nil
				if !errors.Is(err, inplace.ErrNoConditions) || strings.Contains(err.Error(), "is left of the probe") != left {
					t.Errorf("under a retention: %v; left of the probe: %v", err, left)
				}
			})
		}
	}
}

func TestAStoreIsProbedOnceAndNothingIsLeft(t *testing.T) {
	t.Parallel()
	for name, start := range stores {
		for where, place := range map[string]state.Place{"": {}, ", with a state bucket": {Bucket: bucketNamed("state"), Prefix: "of/us/"}} {
			for _, bucket := range []string{"bucket", "locked"} {
				t.Run(name+where+", "+bucket, func(t *testing.T) {
					t.Parallel()
					store := start(t)
					c := &careless{raw: before(t, store).others.Upstream}
					p := before(t, inFront(t, store, c.take))
					s := httptest.NewServer(p)
					t.Cleanup(s.Close)
					b := p.others.Settings
					for _, made := range []string{"bucket", "locked", "state"} {
						mustAsk(t, s, "PUT", "/"+made, nil, "X-Amz-Bucket-Object-Lock-Enabled", map[bool]string{true: "true", false: "false"}[made == "locked"])
					}
					retainAll(t, c.raw, "locked")
					o := object.New(b, place, object.NewCache())
					for range 2 {
						if err := inplace.DemandConditions(t.Context(), o, bucketNamed(bucket)); err != nil {
							t.Fatal(err)
						}
					}
					if n := c.probes.Load(); n != 2 {
						t.Errorf("%d probes, want one of a PUT and one of the end of an upload", n)
					}
					for _, looked := range []string{"bucket", "locked", "state"} {
						if left := leftOf(t, c.raw, looked); left != nil {
							t.Errorf("left of the probes in %s: %v", looked, left)
						}
					}
				})
			}
		}
	}
}
