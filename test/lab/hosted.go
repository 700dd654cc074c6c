package lab

import (
	"context"
	"net"
	"net/http"
	"testing"
)

// HostDomain is a domain that no resolver knows: the tests tell clients its address.
const HostDomain = "s3.test"

// Hosted returns an HTTP client that finds every host at address, and the URL of the domain with
// its port.
func Hosted(address string) (*http.Client, string) {
	_, port, _ := net.SplitHostPort(address)
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", address)
		},
	}}, "http://" + HostDomain + ":" + port
}

// HostedProxy starts a proxy that serves each bucket as a host below HostDomain.
func HostedProxy(t testing.TB) *ProxyProcess {
	t.Helper()
	if Direct {
		t.Skip("the store has no such domain")
	}
	return Proxy(t, ProxyOptions{Upstream: SharedVersitygw(t), Args: []string{"--domain", HostDomain, "--domain", "example.com"}})
}
