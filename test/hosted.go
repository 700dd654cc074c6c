package test

import (
	"context"
	"net"
	"net/http"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

// hostDomain is known to no resolver: clients in these tests are told where it is.
const hostDomain = "s3.test"

// hosted gives an HTTP client for which every host is at address, and the URL of
// the domain with its port.
func hosted(address string) (*http.Client, string) {
	_, port, _ := net.SplitHostPort(address)
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", address)
		},
	}}, "http://" + hostDomain + ":" + port
}

// hostedProxy is a proxy whose buckets are hosts below hostDomain.
func hostedProxy(t testing.TB) *lab.ProxyProcess {
	t.Helper()
	if direct {
		t.Skip("the store has no such domain")
	}
	return lab.Proxy(t, lab.ProxyOptions{Upstream: lab.SharedVersitygw(t), Args: []string{"--domain", hostDomain, "--domain", "example.com"}})
}
