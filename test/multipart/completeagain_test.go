package multipart

import (
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// If the answer claimed to be gzip, a client that unpacks it could not read the document.
func TestACompleteThatIsSentAgainIsNotAnsweredWithTheObjectsHeaders(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		path := "/" + s3test.NewBucket(t, at.S3) + "/k"
		begun := s3test.Call{Method: "POST", Path: path, Query: "uploads", Headers: map[string]string{"content-encoding": "gzip", "x-amz-meta-a": "1", "cache-control": "no-cache"}}.Do(t, at.S3)
		query := "uploadId=" + s3test.UploadID(begun)
		part := s3test.Call{Method: "PUT", Path: path, Query: "partNumber=1&" + query, Body: s3test.Content(1, 1000)}.Do(t, at.S3)
		list := "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + s3test.XMLText(part.Header.Get("ETag")) + "</ETag></Part></CompleteMultipartUpload>"
		for range 2 {
			a := s3test.Call{Method: "POST", Path: path, Query: query, Body: []byte(list)}.Do(t, at.S3)
			if a.Status != 200 || !strings.Contains(string(a.Body), "<CompleteMultipartUploadResult") {
				t.Fatalf("%v: %s", a, a.Body)
			}
			for _, name := range []string{"Content-Encoding", "Cache-Control", "X-Amz-Meta-A", "Last-Modified", "X-Amz-Storage-Class"} {
				if v := a.Header.Get(name); v != "" {
					t.Errorf("%s: %s", name, v)
				}
			}
		}
	})
}
