package attacks

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
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
			path := "/" + s3test.NewBucket(t, at) + "/traced-key"
			body := []byte(strings.Repeat(s3test.Marker, 100))
			secrets := map[string]string{
				"the client's secret":   lab.ClientSecretKey,
				"the upstream's secret": store.SecretKey,
				"the body":              s3test.Marker,
			}
			do := func(name string, c s3test.Call) {
				t.Helper()
				a := c.Do(t, at)
				if a.Status == 0 {
					t.Errorf("%s: %v", name, a)
				}
				if a.Signature != "" {
					secrets["the signature of "+name] = a.Signature
				}
				if _, s, ok := strings.Cut(c.Query, "X-Amz-Signature="); ok {
					secrets["the signature of "+name] = s
				}
			}
			do("a PUT", s3test.Call{Method: http.MethodPut, Path: path, Body: body})
			do("a PUT in chunks", s3test.Call{Method: http.MethodPut, Path: path, Stream: &s3test.Stream{Shape: s3test.SignedStreamTrailer, Body: body}})
			do("a GET", s3test.Call{Method: http.MethodGet, Path: path})
			do("a HEAD", s3test.Call{Method: http.MethodHead, Path: path})
			do("a list", s3test.Call{Method: http.MethodGet, Path: path[:strings.LastIndex(path, "/")], Query: "list-type=2"})
			do("a presigned GET", s3test.Call{Method: http.MethodGet, Path: path}.Presign(at, time.Minute))
			do("a presigned PUT", s3test.Call{Method: http.MethodPut, Path: path, Body: body}.Presign(at, time.Minute))
			do("a refused PUT", s3test.Call{Method: http.MethodPut, Path: path, Body: body, Secret: "wrong secret of the client's"})
			do("a request with a token", s3test.Call{Method: http.MethodGet, Path: path, Headers: map[string]string{"x-amz-security-token": "token-of-a-session"}})
			secrets["the session's token"] = "token-of-a-session"
			do("a request with SSE-C", s3test.Call{Method: http.MethodGet, Path: path, Headers: map[string]string{"x-amz-server-side-encryption-customer-key": "customers-own-key"}})
			secrets["the customer's key"] = "customers-own-key"
			do("a copy with SSE-C", s3test.Call{Method: http.MethodPut, Path: path, Headers: map[string]string{"x-amz-copy-source": path, "x-amz-copy-source-server-side-encryption-customer-key": "sources-own-key"}})
			secrets["the source's key"] = "sources-own-key"
			do("a request with a misspelt header", s3test.Call{Method: http.MethodGet, Path: path, Headers: map[string]string{"x-amz-securitytoken": "token-under-no-name", "x-auth": "password-of-something"}})
			secrets["a token under another name"], secrets["a password"] = "token-under-no-name", "password-of-something"
			do("a misspelt signature", s3test.Call{Method: http.MethodGet, Path: path, Query: "X-Amz-Signatur=misspelt-signature&x-amz-signature=lower-signature"})
			secrets["a misspelt signature"], secrets["a signature in lower case"] = "misspelt-signature", "lower-signature"
			do("a PUT with metadata", s3test.Call{Method: http.MethodPut, Path: path, Body: body, Headers: map[string]string{"x-amz-meta-diagnosis": "what-a-user-has", "x-amz-tagging": "what=a-user-is", "cookie": "session-of-a-browser"}})
			do("a GET of metadata", s3test.Call{Method: http.MethodGet, Path: path})
			secrets["a user's metadata"], secrets["a user's tag"], secrets["a cookie"] = "what-a-user-has", "a-user-is", "session-of-a-browser"
			do("DELETE", s3test.Call{Method: http.MethodDelete, Path: path})

			file, err := os.ReadFile(lab.KeysetIn(t, p.DataDir))
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`"value"\s*:\s*"([^"]+)"`).FindAllStringSubmatch(string(file), -1) {
				secrets["the keyset's key"] = m[1]
			}
			if secrets["the keyset's key"] == "" {
				t.Fatal("the keyset has no key")
			}
			p.Term()
			p.Wait(10 * time.Second)
			log := p.Log()
			for name, secret := range secrets {
				if strings.Contains(log, secret) {
					t.Errorf("%s is in the log", name)
				}
			}
			// Nor is any whole signature, such as those of upstream requests.
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
						t.Errorf("a line that is not JSON: %s", line)
					}
				}
			}
		})
	}
}
