package attacks

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

func TestURLsOfVersion2WorkUntilTheyExpireAndForWhatTheyAreSigned(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		if lab.Direct {
			t.Skip("versitygw supports only signature version 4")
		}
		bucket, body := s3test.NewBucket(t, at.S3), s3test.Content(3, 100_000)
		soon := time.Now().Add(time.Minute)
		path := "/" + bucket + "/a%20key%C3%A4"
		put := s3test.Call{Method: "PUT", Path: path, Body: body}
		if got := put.PresignV2(at.S3, soon, "").Do(t, at.S3); got.Status != 200 {
			t.Fatalf("PUT: %v", got)
		}
		read := s3test.Call{Method: "GET", Path: path}
		good := read.PresignV2(at.S3, soon, "")
		if got := good.Do(t, at.S3); got.Status != 200 || s3test.SameBytes(got.Body, body) != nil {
			t.Errorf("GET: %v", got)
		}
		ranged := good
		ranged.Headers = map[string]string{"range": "bytes=10-19"}
		if got := ranged.Do(t, at.S3); got.Status != 206 || s3test.SameBytes(got.Body, body[10:20]) != nil {
			t.Errorf("GET of a range: %v", got)
		}
		overridden := read
		overridden.Query = "response-content-type=text%2Fx&response-content-disposition=attachment%3B%20filename%3D%22a%26b%22"
		overridden = overridden.PresignV2(at.S3, soon, `?response-content-disposition=attachment; filename="a&b"&response-content-type=text/x`)
		if got := overridden.Do(t, at.S3); got.Status != 200 || got.Header.Get("Content-Type") != "text/x" || got.Header.Get("Content-Disposition") != `attachment; filename="a&b"` {
			t.Errorf("GET with overrides: %v %v", got, got.Header)
		}
		typed := s3test.Call{Method: "PUT", Path: path + "-typed", Body: body, Headers: map[string]string{"content-type": "text/x", "x-amz-meta-a": "b", "content-md5": s3test.MD5Of(body)}}
		if got := typed.PresignV2(at.S3, soon, "").Do(t, at.S3); got.Status != 200 {
			t.Errorf("PUT with headers: %v", got)
		}
		typed.Body = s3test.Flipped(body, 0)
		if got := typed.PresignV2(at.S3, soon, "").Do(t, at.S3); got.Status != 400 || got.Code != "BadDigest" {
			t.Errorf("PUT of a body that does not match its MD5: %v", got)
		}
		if got := s3test.Get(t, at.S3, path+"-typed"); s3test.SameBytes(got.Body, body) != nil || got.Header.Get("Content-Type") != "text/x" || got.Header.Get("X-Amz-Meta-A") != "b" {
			t.Errorf("%v %v", got, got.Header)
		}

		with := func(c s3test.Call, name, value string) s3test.Call {
			c.Headers = map[string]string{name: value}
			return c
		}
		at2 := func(c s3test.Call, path string) s3test.Call { c.Path = path; return c }
		short := put
		short.Body = []byte("forged")
		written := short.PresignV2(at.S3, soon, "")
		for name, c := range map[string]struct {
			call   s3test.Call
			status int
			code   string
		}{
			"expired":                  {read.PresignV2(at.S3, time.Now().Add(-time.Second), ""), 403, "AccessDenied"},
			"PUT, expired":             {short.PresignV2(at.S3, time.Now().Add(-time.Second), ""), 403, "AccessDenied"},
			"another secret":           {s3test.Call{Method: "PUT", Path: path, Body: short.Body, Secret: "x"}.PresignV2(at.S3, soon, ""), 403, "SignatureDoesNotMatch"},
			"nobody":                   {s3test.Call{Method: "PUT", Path: path, Body: short.Body, AccessKey: "x"}.PresignV2(at.S3, soon, ""), 403, "InvalidAccessKeyId"},
			"DELETE":                   {other(good, "DELETE"), 403, "SignatureDoesNotMatch"},
			"DELETE by a header":       {with(good, "x-http-method-override", "DELETE"), 200, ""},
			"PUT":                      {other(written, "POST"), 403, "SignatureDoesNotMatch"},
			"another key":              {at2(written, path+"2"), 403, "SignatureDoesNotMatch"},
			"another spelling":         {at2(written, "/"+bucket+"/x/../a%20key%C3%A4"), 403, "SignatureDoesNotMatch"},
			"an ACL asked for":         {more(good, "acl"), 403, "SignatureDoesNotMatch"},
			"a version":                {more(good, "versionId=null"), 403, "SignatureDoesNotMatch"},
			"tags":                     {more(good, "tagging"), 403, "SignatureDoesNotMatch"},
			"an upload":                {more(written, "uploadId=x&partNumber=1"), 403, "SignatureDoesNotMatch"},
			"a list":                   {more(s3test.Call{Method: "GET", Path: "/" + bucket}.PresignV2(at.S3, soon, ""), "prefix=a"), 403, "AccessDenied"},
			"an operation's name":      {more(good, "x-id=GetObject"), 403, "AccessDenied"},
			"a retention":              {more(written, "retention"), 403, "AccessDenied"},
			"encryption":               {more(written, "encryption"), 403, "AccessDenied"},
			"a copy":                   {with(written, "x-amz-copy-source", path), 403, "SignatureDoesNotMatch"},
			"a copy in the query":      {more(written, "x-amz-copy-source="+path), 403, "SignatureDoesNotMatch"},
			"an ACL":                   {with(written, "x-amz-acl", "public-read"), 403, "SignatureDoesNotMatch"},
			"metadata":                 {with(written, "x-amz-meta-a", "b"), 403, "SignatureDoesNotMatch"},
			"a type":                   {with(written, "content-type", "text/html"), 403, "SignatureDoesNotMatch"},
			"an MD5":                   {with(written, "content-md5", s3test.MD5Of(short.Body)), 403, "SignatureDoesNotMatch"},
			"chunks":                   {with(written, "x-amz-content-sha256", s3test.SignedStream), 400, "InvalidRequest"},
			"unsigned chunks":          {with(written, "x-amz-content-sha256", s3test.UnsignedStreamTrailer), 400, "InvalidRequest"},
			"a part of version 4":      {more(written, "X-Amz-Expires=600"), 400, "InvalidArgument"},
			"version 4 in the header":  {s3test.Call{Method: "PUT", Path: path, Query: written.Query, Body: short.Body}, 400, "InvalidArgument"},
			"two expiries":             {more(written, "Expires=9999999999"), 400, "InvalidArgument"},
			"a small expiry":           {more(written, "expires=9999999999"), 403, "AccessDenied"},
			"small names":              {s3test.Call{Method: "PUT", Path: path, Body: short.Body, Unsigned: true, Query: strings.ToLower(written.Query)}, 403, "AccessDenied"},
			"a session token":          {with(written, "x-amz-security-token", "x"), 403, "InvalidToken"},
			"a header of version 2":    {short.SignedV2(at.S3, ""), 400, "InvalidRequest"},
			"a header that lists keys": {s3test.Call{Method: "GET", Path: "/" + bucket}.SignedV2(at.S3, ""), 400, "InvalidRequest"},
		} {
			got := c.call.Do(t, at.S3)
			if name == "a session token" && got.Code == "InvalidToken" {
				continue
			}
			if got.Status != c.status || got.Code != c.code {
				t.Errorf("%s: %v, want %d %s", name, got, c.status, c.code)
			}
		}
		kind, form := s3test.FormV2(t, at.S3, bucket, "form", []byte("forged"))
		if status, _, got := s3test.Fetch(t, "POST", at.URL+"/"+bucket, kind, bytes.NewReader(form)); status != 400 || !strings.Contains(string(got), "InvalidRequest") {
			t.Errorf("a form: %d %s", status, got)
		}
		if got := s3test.Get(t, at.S3, "/"+bucket+"/form"); got.Status != 404 {
			t.Errorf("the form made an object: %v", got)
		}
		if got := s3test.Get(t, at.S3, path); s3test.SameBytes(got.Body, body) != nil {
			t.Errorf("the object is now %v", got)
		}
	})
}

func TestHeadersAndFormsOfVersion2WorkWhereTheyAreAllowed(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	t.Parallel()
	for _, store := range lab.SharedStores(t) {
		at := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--auth-v2", "all"}}).S3()
		bucket, body := s3test.NewBucket(t, at), s3test.Content(3, 3_000_000)
		path := "/" + bucket + "/k"
		put := s3test.Call{Method: "PUT", Path: path, Body: body, Headers: map[string]string{"content-type": "text/x", "x-amz-meta-a": "b", "content-md5": s3test.MD5Of(body)}}
		if got := put.SignedV2(at, "").Do(t, at); got.Status != 200 {
			t.Fatalf("PUT: %v", got)
		}
		if got := (s3test.Call{Method: "GET", Path: path}).SignedV2(at, "").Do(t, at); s3test.SameBytes(got.Body, body) != nil || got.Header.Get("X-Amz-Meta-A") != "b" {
			t.Errorf("GET: %v", got)
		}
		if got := (s3test.Call{Method: "GET", Path: "/" + bucket, Query: "list-type=2&prefix=k&max-keys=1"}).SignedV2(at, "").Do(t, at); got.Status != 200 || !bytes.Contains(got.Body, []byte("<Key>k</Key>")) {
			t.Errorf("list: %v %s", got, got.Body)
		}
		if got := (s3test.Call{Method: "GET", Path: path, Query: "tagging"}).SignedV2(at, "?tagging").Do(t, at); got.Status != 200 {
			t.Errorf("tags: %v", got)
		}
		wrong := put
		wrong.Body = s3test.Flipped(body, len(body)-1)
		late, early := put, put
		late.At, early.At = time.Now().Add(-16*time.Minute), time.Now().Add(16*time.Minute)
		changed, moved := put.SignedV2(at, ""), put.SignedV2(at, "")
		changed.Headers["x-amz-acl"], moved.Path = "public-read", path+"2"
		chunked := s3test.Call{Method: "PUT", Path: path, Body: []byte("x"), Headers: map[string]string{"x-amz-content-sha256": s3test.SignedStream}}
		for name, c := range map[string]struct {
			call   s3test.Call
			status int
			code   string
		}{
			"another body":      {wrong.SignedV2(at, ""), 400, "BadDigest"},
			"late":              {late.SignedV2(at, ""), 403, "RequestTimeTooSkewed"},
			"early":             {early.SignedV2(at, ""), 403, "RequestTimeTooSkewed"},
			"an ACL":            {changed, 403, "SignatureDoesNotMatch"},
			"another place":     {moved, 403, "SignatureDoesNotMatch"},
			"chunks":            {chunked.SignedV2(at, ""), 400, "InvalidRequest"},
			"an unsigned mark":  {s3test.Call{Method: "PUT", Path: "/" + bucket, Query: "encryption"}.SignedV2(at, ""), 403, "AccessDenied"},
			"a header in query": {s3test.Call{Method: "PUT", Path: path, Query: "x-amz-acl=public-read"}.SignedV2(at, ""), 403, "AccessDenied"},
		} {
			if got := c.call.Do(t, at); got.Status != c.status || got.Code != c.code {
				t.Errorf("%s: %v, want %d %s", name, got, c.status, c.code)
			}
		}
		if got := s3test.Get(t, at, path); s3test.SameBytes(got.Body, body) != nil {
			t.Errorf("the object is now %v", got)
		}
		for _, size := range []int{10, 3_000_000} {
			kind, form := s3test.FormV2(t, at, bucket, "form", body[:size])
			if status, _, got := s3test.Fetch(t, "POST", at.URL+"/"+bucket, kind, bytes.NewReader(form)); status != http.StatusNoContent {
				t.Fatalf("a form: %d %s", status, got)
			}
			forged := bytes.Replace(form, []byte("name=\"signature\"\r\n\r\n"), []byte("name=\"signature\"\r\n\r\nA"), 1)
			if status, _, got := s3test.Fetch(t, "POST", at.URL+"/"+bucket, kind, bytes.NewReader(forged)); status != 403 {
				t.Errorf("a forged form: %d %s", status, got)
			}
			elsewhere := bytes.Replace(form, []byte("name=\"key\"\r\n\r\n"), []byte("name=\"key\"\r\n\r\nother-"), 1)
			if status, _, got := s3test.Fetch(t, "POST", at.URL+"/"+bucket, kind, bytes.NewReader(elsewhere)); status != 403 {
				t.Errorf("a form for another key: %d %s", status, got)
			}
			if got := s3test.Get(t, at, "/"+bucket+"/form"); s3test.SameBytes(got.Body, body[:size]) != nil {
				t.Errorf("the form's object: %v", got)
			}
		}
	}
	off := lab.Proxy(t, lab.ProxyOptions{Args: []string{"--auth-v2", "off"}}).S3()
	if got := (s3test.Call{Method: "GET", Path: "/"}).PresignV2(off, time.Now().Add(time.Minute), "").Do(t, off); got.Status != 400 || got.Code != "InvalidRequest" {
		t.Errorf("a URL although version 2 is off: %v", got)
	}
}
