package doctor

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/s3proxy/s3proxy/proxy/sigv4"
)

// An endpoint that could have a request signed for a host of its choice would send it on to that
// host.
func TestNoRequestIsSignedForAHostThatAnAnswerNames(t *testing.T) {
	t.Parallel()
	const victim = "s3.victim.example.com"
	credentials := aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret"}
	for _, canonical := range []string{"GET\n/\n\nhost:" + victim + "\n\nhost\nUNSIGNED-PAYLOAD", ""} {
		var mu sync.Mutex
		asked := map[string]bool{}
		endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			asked[signedHost(t, r, credentials, r.Host, victim, "127.0.0.1", "localhost"+r.Host[strings.Index(r.Host, ":"):])] = true
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, "<Error><Code>SignatureDoesNotMatch</Code><CanonicalRequest>%s</CanonicalRequest></Error>", canonical)
		}))
		defer endpoint.Close()
		u, err := url.Parse(endpoint.URL)
		if err != nil {
			t.Fatal(err)
		}
		e := &Endpoint{URL: u, Region: "us-east-1", Credentials: credentials, HTTP: endpoint.Client(), Advice: func(context.Context, error) string { return "" }}
		f := e.host(t.Context())
		if f.State != Failed || strings.Contains(f.Found, "to "+victim) != (canonical != "") {
			t.Errorf("%+v", f)
		}
		for host := range asked {
			if host != u.Host && host != u.Hostname() {
				t.Errorf("told %q, it signs for %q", canonical, host)
			}
		}
	}
}

// signedHost is the one of hosts that a request is signed for.
func signedHost(t *testing.T, r *http.Request, credentials aws.Credentials, hosts ...string) string {
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		t.Errorf("X-Amz-Date: %v", err)
	}
	for _, host := range hosts {
		again, _ := http.NewRequest(r.Method, "http://"+host+r.URL.Path, nil)
		if err := sigv4.NewSigner("us-east-1").Sign(t.Context(), again, credentials, sigv4.UnsignedPayload, at); err != nil {
			t.Error(err)
		}
		if again.Header.Get("Authorization") == r.Header.Get("Authorization") {
			return host
		}
	}
	return "another"
}
