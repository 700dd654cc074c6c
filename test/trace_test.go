package test

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
)

func TestATraceShowsExchangesAndNoSecret(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			store := lab.SharedMinIO(t)
			p := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--log-level", "trace", "--log-format", format}})
			at := p.S3()
			path := "/" + newBucket(t, at) + "/traced-key"
			body := []byte(strings.Repeat(marker, 100))
			secrets := map[string]string{
				"the client's secret":   lab.ClientSecretKey,
				"the upstream's secret": store.SecretKey,
				"the body":              marker,
			}
			do := func(name string, c call) {
				t.Helper()
				a := c.do(t, at)
				if a.status == 0 {
					t.Errorf("%s: %v", name, a)
				}
				if a.signature != "" {
					secrets["the signature of "+name] = a.signature
				}
				if _, s, ok := strings.Cut(c.query, "X-Amz-Signature="); ok {
					secrets["the signature of "+name] = s
				}
			}
			do("a PUT", call{method: http.MethodPut, path: path, body: body})
			do("a PUT in chunks", call{method: http.MethodPut, path: path, stream: &stream{shape: signedStreamTrailer, body: body}})
			do("a GET", call{method: http.MethodGet, path: path})
			do("a HEAD", call{method: http.MethodHead, path: path})
			do("a list", call{method: http.MethodGet, path: path[:strings.LastIndex(path, "/")], query: "list-type=2"})
			do("a presigned GET", call{method: http.MethodGet, path: path}.presign(at, time.Minute))
			do("a presigned PUT", call{method: http.MethodPut, path: path, body: body}.presign(at, time.Minute))
			do("a refused PUT", call{method: http.MethodPut, path: path, body: body, secret: "wrong secret of the client's"})
			do("a request with a token", call{method: http.MethodGet, path: path, headers: map[string]string{"x-amz-security-token": "token-of-a-session"}})
			secrets["the session's token"] = "token-of-a-session"
			do("a request with SSE-C", call{method: http.MethodGet, path: path, headers: map[string]string{"x-amz-server-side-encryption-customer-key": "customers-own-key"}})
			secrets["the customer's key"] = "customers-own-key"
			do("a copy with SSE-C", call{method: http.MethodPut, path: path, headers: map[string]string{"x-amz-copy-source": path, "x-amz-copy-source-server-side-encryption-customer-key": "sources-own-key"}})
			secrets["the source's key"] = "sources-own-key"
			do("a request with a misspelt header", call{method: http.MethodGet, path: path, headers: map[string]string{"x-amz-securitytoken": "token-under-no-name", "x-auth": "password-of-something"}})
			secrets["a token under another name"], secrets["a password"] = "token-under-no-name", "password-of-something"
			do("a misspelt signature", call{method: http.MethodGet, path: path, query: "X-Amz-Signatur=misspelt-signature&x-amz-signature=lower-signature"})
			secrets["a misspelt signature"], secrets["a signature in lower case"] = "misspelt-signature", "lower-signature"
			do("a PUT with metadata", call{method: http.MethodPut, path: path, body: body, headers: map[string]string{"x-amz-meta-diagnosis": "what-a-user-has", "x-amz-tagging": "what=a-user-is", "cookie": "session-of-a-browser"}})
			do("a GET of metadata", call{method: http.MethodGet, path: path})
			secrets["a user's metadata"], secrets["a user's tag"], secrets["a cookie"] = "what-a-user-has", "a-user-is", "session-of-a-browser"
			do("DELETE", call{method: http.MethodDelete, path: path})

			file, err := os.ReadFile(lab.KeysetIn(t, p.DataDir))
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`"value"\s*:\s*"([^"]+)"`).FindAllStringSubmatch(string(file), -1) {
				secrets["the keyset's key"] = m[1]
			}
			if secrets["the keyset's key"] == "" {
				t.Fatal("no key was found in the keyset")
			}
			p.Term()
			p.Wait(10 * time.Second)
			log := p.Log()
			for name, secret := range secrets {
				if strings.Contains(log, secret) {
					t.Errorf("%s is in the log", name)
				}
			}
			// Nor is any whole signature there, such as those of upstream requests.
			for _, m := range regexp.MustCompile(`(?i)signature=([0-9a-f]{64})`).FindAllStringSubmatch(log, -1) {
				t.Errorf("a signature is in the log: %s", m[0])
			}
			for _, want := range []string{"traced-key", "PUT", "GET", "x-amz-content-sha256", "x-amz-meta-s3proxy-dek", "list-type=2"} {
				if !strings.Contains(strings.ToLower(log), strings.ToLower(want)) {
					t.Errorf("the trace does not show %q", want)
				}
			}
			if format == "json" {
				for line := range strings.Lines(log) {
					if strings.HasPrefix(line, "{") && !json.Valid([]byte(line)) {
						t.Errorf("a line that is no JSON: %s", line)
					}
				}
			}
		})
	}
}
