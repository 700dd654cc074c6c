package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/s3proxy/s3proxy/proxy/sigv4"
)

var clientKeys = aws.Credentials{AccessKeyID: "client", SecretAccessKey: "secret"}

// send gives the status and the text of the answer to a request that is signed already.
func send(t *testing.T, r *http.Request) (int, string) {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestAHeaderOfOneValueThatIsGivenTwiceIsRefused(t *testing.T) {
	t.Parallel()
	f := &fakeStore{}
	s := proxyBefore(t, f, "us-east-1")
	ask(t, s, "PUT", "/bucket/k", []byte("content"))
	twice := func(method, name string, values ...string) (int, string) {
		r := must(http.NewRequestWithContext(t.Context(), method, s.URL+"/bucket/other", nil))
		r.Header[name] = values
		if err := sigv4.NewSigner("us-east-1").Sign(t.Context(), r, clientKeys, sigv4.UnsignedPayload, time.Now()); err != nil {
			t.Fatal(err)
		}
		return send(t, r)
	}
	for _, name := range []string{"X-Amz-Copy-Source", "X-Amz-Copy-Source-Range", "X-Amz-Metadata-Directive", "X-Amz-Storage-Class", "X-Amz-Acl", "X-Amz-Tagging", "X-Amz-Mp-Object-Size"} {
		for _, values := range [][]string{{"bucket/k", "bucket/k"}, {"bucket/k", ""}, {"", "bucket/k"}} {
			if status, body := twice("PUT", name, values...); status != 400 || !strings.Contains(body, "InvalidArgument") {
				t.Errorf("%s: %q: %d %s", name, values, status, body)
			}
		}
	}
	if status, body := twice("PUT", "X-Amz-Meta-Color", "red", "blue"); status != 200 {
		t.Errorf("metadata given twice: %d %s", status, body)
	}
	if n := f.count("PUT /bucket/other"); n != 1 {
		t.Errorf("%d writes at the store, want that of the metadata", n)
	}
}

func TestAPresignedParameterThatIsNoHeaderIsRefused(t *testing.T) {
	t.Parallel()
	s := proxyBefore(t, &fakeStore{}, "us-east-1")
	presigned := func(s *httptest.Server, name, value string) (int, string) {
		r := must(http.NewRequestWithContext(t.Context(), "PUT", s.URL+"/bucket/k", strings.NewReader("content")))
		r.URL.RawQuery = url.Values{name: {value}, "X-Amz-Expires": {"60"}}.Encode()
		signed, _, err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).PresignHTTP(t.Context(), clientKeys, r, sigv4.UnsignedPayload, "s3", "us-east-1", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		r.URL = must(url.Parse(signed))
		return send(t, r)
	}
	for _, name := range []string{"x-amz-meta-a b", "x-amz-meta-a:b", "x-amz-meta-\x00", "x-amz-meta-\r\nx", "x-amz-meta-ü", "x-amz-meta-a(b)", "X-Amz-Meta-a/b"} {
		if status, body := presigned(s, name, "v"); status != 400 || !strings.Contains(body, "InvalidArgument") {
			t.Errorf("%q: %d %s", name, status, body)
		}
	}
	for _, value := range []string{"a\r\nx: y", "\x00", "\x7f", "\n"} {
		if status, body := presigned(s, "x-amz-meta-a", value); status != 400 || !strings.Contains(body, "InvalidArgument") {
			t.Errorf("the value %q: %d %s", value, status, body)
		}
	}
	if status, body := presigned(s, "x-amz-meta-a", "v"); status != 200 {
		t.Errorf("a good one: %d %s", status, body)
	}
}
