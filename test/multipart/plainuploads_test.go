package multipart

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// TestAnUploadIdLeadsIntoNoOtherBucketOfMinIO: MinIO's upload ids are Base64 and contain a path
// after the first dot. With such an id, a client of an unencrypted bucket was able to replace and
// remove objects in buckets that it may not use.
func TestAnUploadIdLeadsIntoNoOtherBucketOfMinIO(t *testing.T) {
	if lab.Direct {
		t.Skip("only the proxy refuses these ids")
	}
	for name, store := range map[string]*lab.Store{"minio": lab.SharedMinIO(t), "versitygw": lab.SharedVersitygw(t)} {
		t.Run(name, func(t *testing.T) {
			plain, victim := s3test.NewBucket(t, store.S3()), s3test.NewBucket(t, store.S3())
			settings := lab.PrivateFile(t, fmt.Sprintf("buckets:\n  %s: {encrypt: false}\n  %s: {encrypt: false}\ncredentials:\n  - {access-key-id: narrow, secret-access-key: narrow-secret-of-some-length, buckets: [%s]}\n", plain, victim, plain))
			proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--config", settings}})
			at := lab.S3{URL: proxy.URL, AccessKey: "narrow", SecretKey: "narrow-secret-of-some-length"}
			body := s3test.Content(1, 1<<20)
			s3test.RawPut(t, store.S3(), "/"+victim+"/big", s3test.Stored{Body: body})
			list := []byte(`<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>`)
			for _, path := range []string{"d.../../../" + victim + "/big", "d.../../../.minio.sys/config/config.json", "d...", "d.", "../../../" + victim + "/big"} {
				for _, id := range []string{base64.RawURLEncoding.EncodeToString([]byte(path)), base64.URLEncoding.EncodeToString([]byte(path))} {
					for _, c := range []s3test.Call{
						{Method: http.MethodGet}, {Method: http.MethodPut, Query: "partNumber=1&", Body: s3test.Content(2, 1<<20)},
						{Method: http.MethodPost, Body: list}, {Method: http.MethodDelete},
					} {
						c.Path, c.Query = "/"+plain+"/k", c.Query+"uploadId="+strings.ReplaceAll(id, "=", "%3D")
						if a := c.Do(t, at); a.Status != http.StatusNotFound || !strings.Contains(string(a.Body), "NoSuchUpload") {
							t.Errorf("%s by %q: %v", c.Method, path, a)
						}
					}
				}
			}
			if a := s3test.Get(t, store.S3(), "/"+victim+"/big"); a.Status != 200 || string(a.Body) != string(body) {
				t.Errorf("the other bucket's object: %v", a.Status)
			}
			// The client's own upload goes on, even at a proxy that has not seen it begin.
			a := (s3test.Call{Method: http.MethodPost, Path: "/" + plain + "/own", Query: "uploads="}).Do(t, at)
			_, id, _ := strings.Cut(string(a.Body), "<UploadId>")
			id, _, _ = strings.Cut(id, "</UploadId>")
			other := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--config", settings}})
			part := s3test.Call{Method: http.MethodPut, Path: "/" + plain + "/own", Query: "partNumber=1&uploadId=" + strings.ReplaceAll(id, "=", "%3D"), Body: body}
			sent := part.Do(t, lab.S3{URL: other.URL, AccessKey: "narrow", SecretKey: "narrow-secret-of-some-length"})
			if sent.Status != 200 {
				t.Fatal(a, sent)
			}
			done := s3test.Call{Method: http.MethodPost, Path: "/" + plain + "/own", Query: "uploadId=" + strings.ReplaceAll(id, "=", "%3D"),
				Body: fmt.Appendf(nil, `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>%s</ETag></Part></CompleteMultipartUpload>`, sent.Header.Get("Etag"))}
			if a := done.Do(t, at); a.Status != 200 {
				t.Error(a)
			}
			if a := s3test.Get(t, at, "/"+plain+"/own"); a.Status != 200 || string(a.Body) != string(body) {
				t.Errorf("the client's own object: %v", a.Status)
			}
			// MinIO serves its admin API on the same port as S3.
			for _, c := range []s3test.Call{{Method: http.MethodDelete, Path: "/minio/admin/v3/tier/FOO"}, {Method: http.MethodGet, Path: "/minio/admin/v3/info"}} {
				if a := c.Do(t, proxy.S3()); a.Status != http.StatusBadRequest {
					t.Errorf("%s %s: %v", c.Method, c.Path, a)
				}
			}
		})
	}
}
