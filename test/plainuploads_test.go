package test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

// TestAnUploadIdLeadsIntoNoOtherBucketOfMinIO: its ids are Base64, and a path follows the
// first dot in them. By such an id a client of a bucket that is not encrypted replaced and
// removed objects of buckets that it may not use.
func TestAnUploadIdLeadsIntoNoOtherBucketOfMinIO(t *testing.T) {
	if lab.Direct {
		t.Skip("it is about what the proxy refuses")
	}
	for name, store := range map[string]*lab.Store{"minio": lab.SharedMinIO(t), "versitygw": lab.SharedVersitygw(t)} {
		t.Run(name, func(t *testing.T) {
			plain, victim := newBucket(t, store.S3()), newBucket(t, store.S3())
			settings := lab.PrivateFile(t, fmt.Sprintf("buckets:\n  %s: {encrypt: false}\n  %s: {encrypt: false}\ncredentials:\n  - {access-key-id: narrow, secret-access-key: narrow-secret-of-some-length, buckets: [%s]}\n", plain, victim, plain))
			proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--config", settings}})
			at := lab.S3{URL: proxy.URL, AccessKey: "narrow", SecretKey: "narrow-secret-of-some-length"}
			body := content(1, 1<<20)
			rawPut(t, store.S3(), "/"+victim+"/big", stored{body: body})
			list := []byte(`<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>`)
			for _, path := range []string{"d.../../../" + victim + "/big", "d.../../../.minio.sys/config/config.json", "d...", "d.", "../../../" + victim + "/big"} {
				for _, id := range []string{base64.RawURLEncoding.EncodeToString([]byte(path)), base64.URLEncoding.EncodeToString([]byte(path))} {
					for _, c := range []call{
						{method: http.MethodGet}, {method: http.MethodPut, query: "partNumber=1&", body: content(2, 1<<20)},
						{method: http.MethodPost, body: list}, {method: http.MethodDelete},
					} {
						c.path, c.query = "/"+plain+"/k", c.query+"uploadId="+strings.ReplaceAll(id, "=", "%3D")
						if a := c.do(t, at); a.status != http.StatusNotFound || !strings.Contains(string(a.body), "NoSuchUpload") {
							t.Errorf("%s by %q: %v", c.method, path, a)
						}
					}
				}
			}
			if a := get(t, store.S3(), "/"+victim+"/big"); a.status != 200 || string(a.body) != string(body) {
				t.Errorf("the other bucket's object: %v", a.status)
			}
			// An upload of the client's own goes on, also at a proxy that has not seen its begin.
			a := (call{method: http.MethodPost, path: "/" + plain + "/own", query: "uploads="}).do(t, at)
			_, id, _ := strings.Cut(string(a.body), "<UploadId>")
			id, _, _ = strings.Cut(id, "</UploadId>")
			other := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--config", settings}})
			part := call{method: http.MethodPut, path: "/" + plain + "/own", query: "partNumber=1&uploadId=" + strings.ReplaceAll(id, "=", "%3D"), body: body}
			sent := part.do(t, lab.S3{URL: other.URL, AccessKey: "narrow", SecretKey: "narrow-secret-of-some-length"})
			if sent.status != 200 {
				t.Fatal(a, sent)
			}
			done := call{method: http.MethodPost, path: "/" + plain + "/own", query: "uploadId=" + strings.ReplaceAll(id, "=", "%3D"),
				body: fmt.Appendf(nil, `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>%s</ETag></Part></CompleteMultipartUpload>`, sent.header.Get("Etag"))}
			if a := done.do(t, at); a.status != 200 {
				t.Error(a)
			}
			if a := get(t, at, "/"+plain+"/own"); a.status != 200 || string(a.body) != string(body) {
				t.Errorf("the client's own object: %v", a.status)
			}
			// The admin API is on MinIO's port of S3.
			for _, c := range []call{{method: http.MethodDelete, path: "/minio/admin/v3/tier/FOO"}, {method: http.MethodGet, path: "/minio/admin/v3/info"}} {
				if a := c.do(t, proxy.S3()); a.status != http.StatusBadRequest {
					t.Errorf("%s %s: %v", c.method, c.path, a)
				}
			}
		})
	}
}
