package s3test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"mime/multipart"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
)

// SignedForm returns a form for a key: the part before the file's first byte, and the part after
// the file. Its policy allows all the further fields.
func SignedForm(t testing.TB, at lab.S3, bucket, key string, further ...[2]string) (kind string, head, tail []byte) {
	t.Helper()
	return RegionalForm(t, at, "us-east-1", bucket, key, further...)
}

// RegionalForm is SignedForm for a region.
func RegionalForm(t testing.TB, at lab.S3, region, bucket, key string, further ...[2]string) (kind string, head, tail []byte) {
	t.Helper()
	now := time.Now().UTC()
	scope := now.Format("20060102") + "/" + region + "/s3/aws4_request"
	allowed := ""
	for _, field := range further {
		allowed += fmt.Sprintf(`["starts-with", "$%s", ""], `, field[0])
	}
	policy := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"expiration": %q, "conditions": [%s
		{"bucket": %q}, {"key": %q}, {"x-amz-algorithm": %q}, {"x-amz-credential": "%s/%s"}, {"x-amz-date": %q}]}`,
		now.Add(time.Minute).Format(time.RFC3339), allowed, bucket, key, SignatureV4, at.AccessKey, scope, now.Format(amzDate)))
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, field := range append(further, [][2]string{
		{"key", key}, {"x-amz-algorithm", SignatureV4}, {"x-amz-credential", at.AccessKey + "/" + scope}, {"x-amz-date", now.Format(amzDate)},
		{"policy", policy}, {"x-amz-signature", hex.EncodeToString(MAC(signingKey(at.SecretKey, now, region), policy))},
	}...) {
		if err := w.WriteField(field[0], field[1]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.CreateFormFile("file", "file"); err != nil {
		t.Fatal(err)
	}
	head = bytes.Clone(b.Bytes())
	w.Close()
	return w.FormDataContentType(), head, b.Bytes()[len(head):]
}
