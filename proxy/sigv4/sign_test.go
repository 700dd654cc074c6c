package sigv4

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// anyRequest is a request to a store as the proxy may send one, or an odder one.
func anyRequest(random *rand.Rand) *http.Request {
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	path := "/bucket/" + pick(oddKeys...)
	u := &url.URL{Scheme: pick("http", "https"), Host: pick("store.test", "store.test:80", "store.test:443", "store.test:9000", "[::1]:9000", "[::1]"), Path: path, RawPath: EncodePath(path)}
	query := url.Values{}
	for range random.IntN(4) {
		query.Add(pick("list-type", "prefix", "marker", "a b", "uploads", "versionId"), pick("", "2", "a/b", "a-b", "a b+c", "ümläut&=", "~-_."))
	}
	u.RawQuery = query.Encode()
	r := &http.Request{Method: pick("GET", "PUT", "HEAD", "POST", "DELETE"), URL: u, Header: http.Header{}, ContentLength: random.Int64N(3) * 1000}
	for range random.IntN(8) {
		name := pick("Content-Type", "x-amz-meta-s3proxy-dek", "x-amz-meta-color", "X-Amz-Acl", "If-Match", "Range", "Expect", "User-Agent", "Content-Length",
			"Authorization", "X-Amzn-Trace-Id", "Transfer-Encoding", "Content-Md5", "X-Amz-Storage-Class")
		r.Header[name] = append(r.Header[name], pick("", "a", " a  b   c ", "text/plain; charset=utf-8", `"etag", "other"`, "ä", "\ta\t", "\t  a"))
	}
	return r
}

func TestRequestsAreSignedAsByTheSDK(t *testing.T) {
	theirs := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	ours := NewSigner("eu-central-1")
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 5000 {
		r := anyRequest(random)
		creds := aws.Credentials{AccessKeyID: fmt.Sprint("key", n%3), SecretAccessKey: fmt.Sprint("secret", n%3), SessionToken: strings.Repeat("token", n%2)}
		payload := []string{UnsignedPayload, emptySum, streamingSigned}[n%3]
		at := time.Date(2026, 1, 1+n%2, 23, 0, n%60, 0, time.FixedZone("", 3600))
		other := r.Clone(context.Background())
		other.Header.Set("X-Amz-Content-Sha256", payload)
		if err := theirs.SignHTTP(context.Background(), creds, other, payload, service, "eu-central-1", at); err != nil {
			t.Fatal(err)
		}
		if err := ours.Sign(r, creds, payload, at); err != nil {
			t.Fatal(err)
		}
		if r.Header.Get("Authorization") != other.Header.Get("Authorization") || r.URL.RawQuery != other.URL.RawQuery {
			t.Fatalf("%d: %s %s\n%v\nours:   %s\ntheirs: %s", n, r.Method, r.URL, other.Header, r.Header.Get("Authorization"), other.Header.Get("Authorization"))
		}
		for name := range other.Header {
			if r.Header.Get(name) != other.Header.Get(name) {
				t.Errorf("%d: %s is %q, not %q", n, name, r.Header.Get(name), other.Header.Get(name))
			}
		}
	}
}

// The SDK's signer takes a new secret of the same access key only when another day begins.
func TestAStoresNewSecretSignsAtOnce(t *testing.T) {
	s := NewSigner("us-east-1")
	v := &Verifier{Secret: func(string) (string, bool) { return "new", true }}
	for _, secret := range []string{"old", "new"} {
		r, err := http.NewRequest(http.MethodGet, "http://store.test/bucket/key", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Sign(r, aws.Credentials{AccessKeyID: "proxy", SecretAccessKey: secret}, UnsignedPayload, time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(r); (err == nil) != (secret == "new") {
			t.Errorf("signed with the %s secret: %v", secret, err)
		}
	}
}
