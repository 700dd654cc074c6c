package legacy

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// refused reads an object that must not be served, whole, by HEAD and by range.
func refused(t *testing.T, p *lab.ProxyProcess, o *oldBucket, what string, ranges bool) {
	t.Helper()
	for _, c := range []s3test.Call{{Method: "GET"}, {Method: "HEAD"}, {Method: "GET", Headers: map[string]string{"range": "bytes=0-9"}}} {
		if !ranges && (c.Method == "HEAD" || c.Headers != nil) {
			continue
		}
		c.Path = o.path("object")
		a := c.Do(t, p.S3())
		if a.Status != http.StatusInternalServerError || a.Err != nil || c.Method == "GET" && a.Code != "InternalError" {
			t.Errorf("%s: %s %v: %v", what, c.Method, c.Headers, a)
		}
	}
}

func TestAnOldObjectWhoseHeaderDoesNotFitIsRefused(t *testing.T) {
	onOld(t, func(t *testing.T, store *lab.Store, mode string) {
		o := newOldBucket(t, store, testKey, "etag: "+mode)
		p := o.proxy(t)
		plain := plaintext(3000)
		good, tag := makeOld(t, plain), s3test.MD5ETag(plain)
		raw, err := hex.DecodeString(good.Meta[oldHeader])
		if err != nil {
			t.Fatal(err)
		}
		headers := map[string]string{
			"no hex": "zz" + good.Meta[oldHeader][2:], "an IV alone": good.Meta[oldHeader][:32], "a byte short": good.Meta[oldHeader][:100],
			"of another object": makeOld(t, plaintext(2999)).Meta[oldHeader], "random": hex.EncodeToString(s3test.Content(1, len(raw))),
			"a size too small": makeHeader(t, 2999, tag), "a size too large": makeHeader(t, 3001, tag), "the stored size": makeHeader(t, 3016, tag), "no size": makeHeader(t, 0, tag),
			"no ETag": makeHeader(t, 3000, ""), "an ETag that is no MD5": makeHeader(t, 3000, `"abc"`),
			"another version": hex.EncodeToString(cfb(t, append([]byte{1, 0xb8, 0x17}, tag...))), "a size in a longer form": hex.EncodeToString(cfb(t, append([]byte{0, 0xb8, 0x97, 0}, tag...))),
		}
		for _, at := range []int{0, 15, 16, 17, 18, 19, len(raw) - 1} {
			damaged := slices.Clone(raw)
			damaged[at] ^= 0x80
			headers[fmt.Sprintf("a bit flipped at %d", at)] = hex.EncodeToString(damaged)
		}
		for _, what := range sorted(headers) {
			o.put(t, "object", good.With(oldHeader, headers[what]))
			refused(t, p, o, what, true)
		}
		for what, body := range map[string][]byte{"cut": good.Body[:2000], "without its last byte": good.Body[:3015], "longer": append(slices.Clone(good.Body), 0), "the IV alone": good.Body[:16], "no byte": nil} {
			o.put(t, "object", s3test.Stored{Body: body, Meta: good.Meta})
			refused(t, p, o, what, true)
		}
		// A broken one can still be listed, written over and deleted.
		if a := (s3test.Call{Method: "GET", Path: "/" + o.bucket, Query: "list-type=2"}).Do(t, p.S3()); a.Status != 200 || !strings.Contains(string(a.Body), "<Key>object</Key>") {
			t.Errorf("the list: %v %s", a, a.Body)
		}
		s3test.MustPut(t, p.S3(), o.path("object"), plain)
		s3test.MustGet(t, p.S3(), o.bucket, "object", plain)
	})
}

func TestAnOldObjectReadWholeHasItsMD5(t *testing.T) {
	onOld(t, func(t *testing.T, store *lab.Store, mode string) {
		o := newOldBucket(t, store, testKey, "etag: "+mode)
		p := o.proxy(t)
		plain := plaintext(3000)
		one, other := makeOld(t, plain), makeOld(t, s3test.Content(1, 3000))
		flipped := s3test.Stored{Body: s3test.Flipped(one.Body, 1500), Meta: one.Meta}
		for what, s := range map[string]s3test.Stored{"the body of another": {Body: other.Body, Meta: one.Meta}, "a bit flipped": flipped} {
			o.put(t, "object", s)
			refused(t, p, o, what, false) // and not a byte comes
		}
		// A large one is cut before its end, in whatever way all of it is asked for.
		plain = plaintext(3 << 20)
		large := makeOld(t, plain)
		o.put(t, "object", s3test.Stored{Body: s3test.Flipped(large.Body, 1<<20), Meta: large.Meta})
		for _, headers := range []map[string]string{nil, {"range": "bytes=0-"}} {
			a := s3test.Call{Method: "GET", Path: o.path("object"), Headers: headers}.Do(t, p.S3())
			if a.Err == nil || len(a.Body) >= len(plain) {
				t.Errorf("%v: %v", headers, a)
			}
		}
		if log := p.Log(); strings.Count(log, "integrity=legacy-md5") != 4 {
			t.Errorf("the log has %d lines of it", strings.Count(log, "integrity=legacy-md5"))
		}
		// What the documentation says: a range is not checked.
		a := s3test.Call{Method: "GET", Path: o.path("object"), Headers: map[string]string{"range": "bytes=5-9"}}.Do(t, p.S3())
		if s3test.SameBytes(a.Body, plain[5:10]) != nil {
			t.Errorf("a range of it: %v", a)
		}
	})
}

func TestAnObjectOfFormat1IsNeverAnOldOne(t *testing.T) {
	onOld(t, func(t *testing.T, store *lab.Store, mode string) {
		o := newOldBucket(t, store, testKey, "etag: "+mode)
		p := o.proxy(t)
		plain := plaintext(3000)
		s3test.MustPut(t, p.S3(), o.path("object"), plain)
		ours := s3test.RawGet(t, store.S3(), o.path("object"))
		old := makeOld(t, s3test.Content(1, len(ours.Body)-16))
		// Its own metadata count, with a header that fits beside them.
		o.put(t, "object", ours.With(oldHeader, old.Meta[oldHeader]))
		s3test.MustGet(t, p.S3(), o.bucket, "object", plain)
		for name := range s3test.Get(t, p.S3(), o.path("object")).Header {
			if strings.EqualFold(name, "x-amz-meta-"+oldHeader) {
				t.Error("the client is shown the header")
			}
		}
		listsOld(t, p, o, mode, map[string][]byte{"object": plain})
		// An old body under any of them is not served.
		for name := range ours.Meta {
			s := s3test.Stored{Body: old.Body, Meta: map[string]string{oldHeader: old.Meta[oldHeader], name: ours.Meta[name]}}
			if !strings.HasPrefix(name, "s3proxy-") {
				continue
			}
			o.put(t, "object", s)
			refused(t, p, o, "an old object with "+name, true)
		}
	})
}

func TestNoClientMakesAnOldObject(t *testing.T) {
	onOld(t, func(t *testing.T, store *lab.Store, mode string) {
		o := newOldBucket(t, store, testKey, "etag: "+mode)
		open := s3test.NewBucket(t, store.S3())
		p := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--kms", o.kms, "--config", o.withBucket(t, open, "encrypt: false")}})
		old := makeOld(t, plaintext(1000))
		header := map[string]string{"x-amz-meta-" + oldHeader: old.Meta[oldHeader]}
		o.put(t, "source", old)
		for what, c := range map[string]s3test.Call{
			"PUT":       {Method: "PUT", Path: o.path("new"), Body: old.Body, Headers: header},
			"copy":      {Method: "PUT", Path: o.path("new"), Headers: map[string]string{"x-amz-copy-source": o.path("source"), "x-amz-metadata-directive": "REPLACE", "x-amz-meta-" + oldHeader: old.Meta[oldHeader]}},
			"upload":    {Method: "POST", Path: o.path("new"), Query: "uploads=", Headers: header},
			"presigned": s3test.Call{Method: "PUT", Path: o.path("new"), Query: "x-amz-meta-" + oldHeader + "=" + old.Meta[oldHeader]}.Presign(p.S3(), time.Minute),
		} {
			if a := c.Do(t, p.S3()); a.Status != http.StatusBadRequest || a.Code != "InvalidArgument" {
				t.Errorf("%s: %v", what, a)
			}
		}
		kind, head, tail := s3test.SignedForm(t, p.S3(), o.bucket, "new", [2]string{"x-amz-meta-" + oldHeader, old.Meta[oldHeader]})
		a := s3test.Call{Method: "POST", Path: "/" + o.bucket, Unsigned: true, Headers: map[string]string{"content-type": kind}, Body: slices.Concat(head, old.Body, tail)}.Do(t, p.S3())
		if a.Status != http.StatusBadRequest || a.Code != "InvalidArgument" {
			t.Errorf("a form: %v", a)
		}
		if a := s3test.Get(t, store.S3(), o.path("new")); a.Status != http.StatusNotFound {
			t.Errorf("the store has %v", a)
		}
		// Where nothing is encrypted everything is what it is.
		s3test.RawPut(t, p.S3(), "/"+open+"/new", old)
		if s := s3test.RawGet(t, p.S3(), "/"+open+"/new"); s3test.SameBytes(s.Body, old.Body) != nil || s.Meta[oldHeader] != old.Meta[oldHeader] {
			t.Errorf("%d bytes, %v", len(s.Body), sorted(s.Meta))
		}
	})
}
