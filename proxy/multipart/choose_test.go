package multipart

import (
	"errors"
	"testing"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// FuzzCompleteMultipartUpload: no document yields more parts than S3 allows, or breaks the check of
// its list.
func FuzzCompleteMultipartUpload(f *testing.F) {
	for _, seed := range []string{
		"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>", "<CompleteMultipartUpload/>", "<CompleteMultipartUpload><Part/></CompleteMultipartUpload>",
		"<CompleteMultipartUpload><Part><PartNumber>-1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>", "<CompleteMultipartUpload><Part><PartNumber>2</PartNumber><ETag>e</ETag></Part><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>",
		"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part></CompleteMultipartUpload>",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var in s3xml.CompleteUpload
		if s3xml.Unmarshal(body, &in) != nil {
			return
		}
		if CheckList(in.Parts) != nil {
			return
		}
		c := completion{Upload: &Upload{}, wanted: Wanted{Parts: in.Parts}}
		if chosen, err := c.choose(&sentParts{}); err == nil && len(in.Parts) > 0 {
			t.Errorf("%q: %d parts are chosen, but none was sent", body, len(chosen))
		} else if refused := (*s3err.Error)(nil); err != nil && (!errors.As(err, &refused) || refused.Status >= 500) {
			t.Errorf("%q: %v", body, err)
		}
	})
}
