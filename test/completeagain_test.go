package test

import (
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

// A client that unpacks what is said to be gzip could not read the document.
func TestACompleteThatIsSentAgainIsNotAnsweredWithTheObjectsHeaders(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		path := "/" + newBucket(t, at.S3) + "/k"
		begun := call{method: "POST", path: path, query: "uploads", headers: map[string]string{"content-encoding": "gzip", "x-amz-meta-a": "1", "cache-control": "no-cache"}}.do(t, at.S3)
		query := "uploadId=" + uploadID(begun)
		part := call{method: "PUT", path: path, query: "partNumber=1&" + query, body: content(1, 1000)}.do(t, at.S3)
		list := "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + xmlText(part.header.Get("ETag")) + "</ETag></Part></CompleteMultipartUpload>"
		for range 2 {
			a := call{method: "POST", path: path, query: query, body: []byte(list)}.do(t, at.S3)
			if a.status != 200 || !strings.Contains(string(a.body), "<CompleteMultipartUploadResult") {
				t.Fatalf("%v: %s", a, a.body)
			}
			for _, name := range []string{"Content-Encoding", "Cache-Control", "X-Amz-Meta-A", "Last-Modified", "X-Amz-Storage-Class"} {
				if v := a.header.Get(name); v != "" {
					t.Errorf("%s: %s", name, v)
				}
			}
		}
	})
}
