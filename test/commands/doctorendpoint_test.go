package commands

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// Seen from a client: one balancer rewrites what clients have signed, others do not.
func TestDoctorFindsABalancerThatRewritesTheHost(t *testing.T) {
	k := onStore(t, lab.SharedVersitygw(t))
	proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: k.store, Args: []string{"--kms", k.kms}})
	target, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	balancer := func(rewrite func(*httputil.ProxyRequest)) string {
		server := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			rewrite(r)
		}})
		t.Cleanup(server.Close)
		return server.URL
	}
	redirects := httptest.NewServer(http.RedirectHandler("https://elsewhere.example.com/", http.StatusMovedPermanently))
	t.Cleanup(redirects.Close)
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	t.Cleanup(broken.Close)
	honest := balancer(func(*httputil.ProxyRequest) {})
	cases := map[string]struct {
		code               int
		url                string
		check, state, part string
		env                []string
	}{
		"no balancer":      {0, proxy.URL, "endpoint-host", "ok", "", nil},
		"one that is fine": {0, honest, "endpoint-round-trip", "ok", "", nil},
		"its clock":        {0, honest, "endpoint-clock", "ok", "", nil},
		"another host":     {3, balancer(func(r *httputil.ProxyRequest) { r.Out.Host = target.Host }), "endpoint-host", "failed", "to " + target.Host, nil},
		"a host by name":   {3, balancer(func(r *httputil.ProxyRequest) { r.Out.Host = "backend" }), "endpoint-host", "failed", "to backend: it answers that this is the one that it has seen", nil},
		"another path": {3, balancer(func(r *httputil.ProxyRequest) { r.Out.URL.Path = "/below" + r.In.URL.Path }), "endpoint-host", "failed",
			"rewrites the path from / to /below/", nil},
		"more of a query": {3, balancer(func(r *httputil.ProxyRequest) { r.Out.URL.RawQuery = "trace=1" }), "endpoint-host", "failed", "adds a query", nil},
		"a wrong secret":  {3, honest, "endpoint-host", "failed", "the secret key is wrong", []string{"S3PROXY_SECRET_ACCESS_KEY=wrong"}},
		"a wrong key":     {3, honest, "endpoint-host", "failed", "does not know the access key", []string{"S3PROXY_ACCESS_KEY_ID=wrong"}},
		"a redirect":      {3, redirects.URL, "endpoint", "failed", "elsewhere.example.com", nil},
		"no backend":      {3, broken.URL, "endpoint", "failed", "/readyz", nil},
		"nobody":          {3, "http://" + lab.FreeAddress(t), "endpoint", "failed", "nothing listens there", nil},
		"without TLS":     {3, strings.Replace(proxy.URL, "http:", "https:", 1), "endpoint", "failed", "write http://", nil},
		"bodies changed": {3, balancer(func(r *httputil.ProxyRequest) {
			r.Out.Header.Del("X-Amz-Decoded-Content-Length")
		}), "endpoint-round-trip", "failed", "could not be written", nil},
	}
	t.Run("each", func(t *testing.T) {
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				own := *k
				own.t = t
				own.doctor(c.code, c.env, "--endpoint", c.url, "--bucket", k.bucket).want(t, c.check, c.state, c.part)
			})
		}
	})
	if left := s3test.KeysOf(t, k.store.S3(), k.bucket, "s3proxy-doctor/"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
