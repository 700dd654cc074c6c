package sigv4

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

func FuzzChunkedBody(f *testing.F) {
	f.Add("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", "x-amz-checksum-crc32", int64(5))
	f.Add("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\n\r\n\r\n", "x-amz-checksum-crc32", int64(5))
	f.Add("5;chunk-signature="+emptySum+"\r\nhello\r\n0\r\n\r\n", "", int64(5))
	f.Fuzz(func(t *testing.T, text, declared string, length int64) {
		for _, payload := range []string{streamingUnsignedTrailer, streamingSigned, streamingSignedTrailer} {
			r := httptest.NewRequest("PUT", "http://s3.test/b/k", strings.NewReader(text))
			r.Header["X-Amz-Decoded-Content-Length"] = []string{strconv.FormatInt(length, 10)}
			if declared != "" && payload != streamingSigned {
				r.Header["X-Amz-Trailer"] = []string{declared}
			}
			a := &Auth{AccessKeyID: "a", Payload: payload, chain: chain{key: []byte("key")}}
			body, err := a.Body(r)
			if err != nil {
				continue
			}
			data, err := io.ReadAll(body)
			var refused *s3err.Error
			if err != nil {
				if !errors.As(err, &refused) {
					t.Fatalf("%v is no error of S3", err)
				}
				continue
			}
			if payload != streamingUnsignedTrailer {
				t.Fatalf("a forged stream is taken: %q", text)
			}
			if int64(len(data)) != length || len(body.Trailers()) != len(body.DeclaredTrailers()) {
				t.Fatalf("%d bytes of %d, trailers %v of %v", len(data), length, body.Trailers(), body.DeclaredTrailers())
			}
			if !strings.Contains(text, string(data[:min(len(data), 1)])) {
				t.Fatal("data that was not sent")
			}
		}
	})
}

func FuzzAuthorizationHeader(f *testing.F) {
	f.Add(algorithm + " Credential=" + exampleScope + ", SignedHeaders=host;x-amz-date, Signature=" + emptySum)
	f.Add("AWS a:b")
	f.Add("AWS4-HMAC-SHA256 Credential=,SignedHeaders=;,Signature==")
	f.Fuzz(func(t *testing.T, header string) {
		r := httptest.NewRequest("GET", "http://s3.test/b/k", nil)
		r.Header["Authorization"] = []string{header}
		r.Header.Set("X-Amz-Date", "20130524T000000Z")
		r.Header.Set("X-Amz-Content-Sha256", emptySum)
		var refused *s3err.Error
		if _, err := exampleVerifier().Verify(r); !errors.As(err, &refused) || refused.Status >= 500 {
			t.Fatalf("%q: %v", header, err)
		}
	})
}

func FuzzQuery(f *testing.F) {
	f.Add("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=a")
	f.Add("a=1&a=%2f+;&&b")
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := parseQuery(raw)
		if err != nil {
			return
		}
		// What is signed has one form: read again, it gives itself.
		once := q.canonical()
		again, err := parseQuery(once)
		if err != nil || again.canonical() != once || len(again) > len(q) {
			t.Fatalf("%q: %q, then %q: %v", raw, once, again.canonical(), err)
		}
		// Nothing but a valid request line can get so far over HTTP.
		if _, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET /b/k?" + raw + " HTTP/1.1\r\nHost: h\r\n\r\n"))); err != nil {
			return
		}
		r := httptest.NewRequest("GET", "http://s3.test/b/k", nil)
		r.URL.RawQuery = raw
		auth, err := exampleVerifier().Verify(r)
		if err == nil && auth.AccessKeyID != "" {
			t.Fatalf("%q is taken for signed", raw)
		}
	})
}

// Whatever is made of a URL of version 2 under its own signature: if it is taken, it means what
// was signed.
func FuzzURLOfVersion2(f *testing.F) {
	good := presignV2("GET", v2Target+"?response-content-type=a&versionId=1&x-amz-meta-a=b", "?response-content-type=a&versionId=1", "x-amz-meta-a:b\n", "")
	f.Add("GET", good.URL.RawQuery, "", "")
	f.Add("GET", strings.Replace(good.URL.RawQuery, "a&versionId=1", "a%26versionId%3D1", 1), "", "")
	f.Add("GET", strings.Replace(good.URL.RawQuery, "&x-amz-meta-a=b", "", 1), "X-Amz-Meta-A", "b")
	f.Add("GET", good.URL.RawQuery+"&acl", "X-Amz-Copy-Source", "/a/b")
	f.Fuzz(func(t *testing.T, method, raw, name, value string) {
		r := httptest.NewRequest("GET", v2Target, nil)
		r.Method, r.URL.RawQuery = method, raw
		if name != "" {
			r.Header.Set(name, value)
		}
		auth, err := v2Verifier(exampleTime).Verify(r)
		var refused *s3err.Error
		if err != nil {
			if !errors.As(err, &refused) || refused.Status >= 500 {
				t.Fatalf("%v is no refusal", err)
			}
			return
		}
		if auth.AccessKeyID == "" {
			return
		}
		q, err := parseQuery(raw)
		if err != nil {
			t.Fatal(err)
		}
		meta, _ := q.one("x-amz-meta-a")
		meta += r.Header.Get("X-Amz-Meta-A")
		kind, _ := q.one("response-content-type")
		version, _ := q.one("versionId")
		if method != "GET" || kind != "a" || version != "1" || meta != "b" && meta != "bb" || len(q) < 5 || len(q) > 6 {
			t.Fatalf("%s %q with %q: %q is taken", method, raw, name, value)
		}
	})
}
