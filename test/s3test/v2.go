package s3test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
)

// PresignV2 returns the call with a version 2 signature in the query. signed is the part of the
// query that is signed, as "?name=value" with decoded values. All headers are sent; x-amz-*,
// content-type and content-md5 are signed.
func (c Call) PresignV2(at lab.S3, expires time.Time, signed string) Call {
	date := fmt.Sprint(expires.Unix())
	c.Query += IfAny("&", "AWSAccessKeyId="+url.QueryEscape(OrElse(c.AccessKey, at.AccessKey))+"&Expires="+date+"&Signature="+url.QueryEscape(c.signV2(at, date, signed)))
	c.Query = strings.TrimPrefix(c.Query, "&")
	c.Unsigned = true
	return c
}

// SignedV2 returns the call with a version 2 Authorization header.
func (c Call) SignedV2(at lab.S3, signed string) Call {
	if c.At.IsZero() {
		c.At = time.Now()
	}
	headers := map[string]string{"date": c.At.UTC().Format(http.TimeFormat)}
	for name, value := range c.Headers {
		headers[name] = value
	}
	headers["authorization"] = "AWS " + OrElse(c.AccessKey, at.AccessKey) + ":" + c.signV2(at, headers["date"], signed)
	c.Headers, c.Unsigned = headers, true
	return c
}

// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html
func (c Call) signV2(at lab.S3, date, signed string) string {
	text := c.Method + "\n" + c.Headers["content-md5"] + "\n" + c.Headers["content-type"] + "\n" + date + "\n"
	for _, name := range sortedKeys(c.Headers) {
		if strings.HasPrefix(name, "x-amz-") {
			text += name + ":" + c.Headers[name] + "\n"
		}
	}
	return sumV2(OrElse(c.Secret, at.SecretKey), text+c.Path+signed)
}

func sumV2(secret, text string) string {
	h := hmac.New(sha1.New, []byte(secret))
	h.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// FormV2 returns a form with a file, signed with version 2.
func FormV2(t testing.TB, at lab.S3, bucket, key string, file []byte) (kind string, body []byte) {
	t.Helper()
	policy := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"expiration": %q, "conditions": [{"bucket": %q}, {"key": %q}]}`,
		time.Now().Add(time.Minute).UTC().Format(time.RFC3339), bucket, key))
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, field := range [][2]string{{"key", key}, {"AWSAccessKeyId", at.AccessKey}, {"policy", policy}, {"signature", sumV2(at.SecretKey, policy)}} {
		if err := w.WriteField(field[0], field[1]); err != nil {
			t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile("file", "file")
	if err != nil {
		t.Fatal(err)
	}
	part.Write(file)
	w.Close()
	return w.FormDataContentType(), b.Bytes()
}
