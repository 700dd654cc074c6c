package proxy

import (
	_ "embed"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/proxy/sigv4"
)

// What clients send of their own accord and S3 ignores, with the operations that it came with.
var ignoredByS3 = map[string][]string{
	"X-Amz-Api-Version":                  {"PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "CopyObject", "DeleteObject", "DeleteObjects"}, // AWS's C++ SDK
	"X-Amz-Metadata-Directive":           {"PutObject", "CreateMultipartUpload"},                                                                                         // s3fs
	"X-Amz-Tagging-Directive":            {"CreateMultipartUpload"},
	"X-Amz-Acl":                          {"UploadPart", "CompleteMultipartUpload"},
	"X-Amz-Storage-Class":                {"UploadPart", "CompleteMultipartUpload"},
	"X-Amz-Meta-If-Encryption":           {"UploadPart", "DeleteObject"},
	"X-Amz-No-Such-Header":               {"PutObject", "DeleteObject", "PutObjectTagging", "CreateBucket"},
	"X-Amz-Bypass-Governance-Retention":  {"PutObject"},
	"X-Amz-Transition-Default-Something": {"PutBucketLifecycleConfiguration"},
}

func headersRefused(op *operation, name string) bool {
	x := &exchange{clientRequest: clientRequest{op: op, r: &http.Request{Header: http.Header{name: {"true"}}}}}
	x.credential.Manage = true
	x.auth = &sigv4.Auth{AccessKeyID: "client"}
	return x.refusedHeader() != nil
}

func TestAHeaderThatS3IgnoresIsIgnoredAndNotSentOn(t *testing.T) {
	t.Parallel()
	for name, ops := range ignoredByS3 {
		for _, op := range ops {
			row := rowNamed(t, op)
			if headersRefused(row, name) {
				t.Errorf("%s of %s is refused", name, op)
			}
			if row.passesHeader(name) {
				t.Errorf("%s of %s reaches the store", name, op)
			}
		}
	}
	for _, name := range []string{
		"X-Amz-Write-Offset-Bytes", "X-Amz-If-Match-Size", "X-Amz-If-Something", "X-Amz-Object-If-Match", "X-Amz-Rename-Source", "X-Amz-Copy-Source-Range", "X-Amz-Copy-Source-If-Match",
		"X-Amz-Object-Encryption", "X-Amz-Server-Side-Encryption-Customer-Algorithm", "X-Amz-Copy-Source-Server-Side-Encryption-Customer-Key", "X-Amz-Append-Bytes", "X-Amz-Expected-Object-Size",
	} {
		if !headersRefused(rowNamed(t, "PutObject"), name) {
			t.Errorf("%s of PutObject is ignored", name)
		}
	}
}

// A header that S3 has of an operation must reach the store, be acted on, or be refused:
// ignored it would be broken in silence.
//
//go:embed testdata/requestheaders.txt
var requestHeaders string

func TestNoHeaderThatAnOperationHasIsIgnored(t *testing.T) {
	t.Parallel()
	actedOn := func(op *operation, name string) bool {
		return op.passesHeader(name) || commonHeader(name) || slices.Contains(op.own, name)
	}
	n := 0
	for line := range strings.Lines(requestHeaders) {
		op, names, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		row := rowNamed(t, op)
		if row.handle == nil { // refused whole
			continue
		}
		for name := range strings.FieldsSeq(names) {
			n++
			name = http.CanonicalHeaderKey(name)
			if !actedOn(row, name) && !headersRefused(row, name) {
				t.Errorf("%s of %s is ignored", name, op)
			}
		}
	}
	if n < 200 {
		t.Errorf("only %d headers in the list", n)
	}
}

func rowNamed(t *testing.T, name string) *operation {
	t.Helper()
	for i := range operations() {
		if op := &operations()[i]; op.name == name {
			return op
		}
	}
	t.Fatalf("no row %s", name)
	return nil
}

func TestARefusedHeaderIsNamed(t *testing.T) {
	t.Parallel()
	s := proxyBefore(t, &fakeStore{}, "us-east-1")
	resp, body := ask(t, s, "PUT", "/bucket/k", []byte("x"), "x-amz-write-offset-bytes", "1")
	if resp.StatusCode != 501 || !strings.Contains(body, "not implemented: x-amz-write-offset-bytes</Message>") || !strings.Contains(body, "<Header>x-amz-write-offset-bytes</Header>") {
		t.Errorf("%s %s", resp.Status, body)
	}
}
