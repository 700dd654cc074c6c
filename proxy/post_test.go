package proxy

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// signForm gives the fields that sign a form for a bucket; more are further conditions of
// its policy, in JSON.
func signForm(bucket, key string, more ...string) [][2]string {
	now := time.Now().UTC()
	day, stamp := now.Format("20060102"), now.Format("20060102T150405Z")
	credential := "client/" + day + "/us-east-1/s3/aws4_request"
	policy := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"expiration": %q, "conditions": [{"bucket": %q}, {"key": %q},
		["starts-with", "$x-amz-algorithm", ""], ["starts-with", "$x-amz-date", ""], ["starts-with", "$x-amz-credential", ""]%s]}`,
		now.Add(time.Minute).Format(time.RFC3339), bucket, key, strings.Join(append([]string{""}, more...), ", ")))
	mac := []byte("AWS4secret")
	for _, text := range []string{day, "us-east-1", "s3", "aws4_request", policy} {
		h := hmac.New(sha256.New, mac)
		h.Write([]byte(text))
		mac = h.Sum(nil)
	}
	return [][2]string{{"key", key}, {"x-amz-algorithm", "AWS4-HMAC-SHA256"}, {"x-amz-credential", credential}, {"x-amz-date", stamp},
		{"policy", policy}, {"x-amz-signature", hex.EncodeToString(mac)}}
}

func TestAFormHasTheGrantOfItsAccessKeyAlone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		grant Credential
		text  string
	}{
		"read-only":      {Credential{Secret: "secret", ReadOnly: true}, "This access key may only read."},
		"another bucket": {Credential{Secret: "secret", Buckets: []string{"other"}}, "This access key may not use this bucket."},
	} {
		t.Run(name, func(t *testing.T) {
			p := New(Config{
				Region: "us-east-1", Log: slog.New(slog.DiscardHandler), AnonymousToStore: true,
				Credential: func(id string) (Credential, bool) { return c.grant, id == "client" },
			})
			kind, body := encodeForm(t, signForm("bucket", "k"), []byte("content"))
			r := httptest.NewRequest("POST", "/bucket", bytes.NewReader(body))
			r.Header.Set("Content-Type", kind)
			w := httptest.NewRecorder()
			p.ServeHTTP(w, r) // with no store: what is not refused panics
			if w.Code != 403 || !strings.Contains(w.Body.String(), c.text) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
}
