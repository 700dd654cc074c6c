package config

import (
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/forward"
)

// validateForward checks for whom the listener is a proxy, and reads the hosts.
func (c *Config) validateForward() (err error) {
	if !c.ForwardProxy {
		for _, name := range []string{"forward-host", "connect-host", "max-tunnels", "intercept", "intercept-ca-cert", "intercept-ca-key"} {
			if c.Given(name) {
				return Usagef("%s is set, but not forward-proxy", name)
			}
		}
		return nil
	}
	stores := c.storeURLs()
	switch {
	case len(stores) == 0 && len(c.ForwardHosts) == 0:
		return Usagef("forward-proxy is set, but no host is a store's: set upstream, or forward-host for the embedded store")
	case len(stores) == 0 && len(c.ConnectHosts) == 0:
		c.ConnectHosts = []string{forward.NoTunnels}
	case c.MaxTunnels < 1 && c.Given("max-tunnels"): // other commands than serve have no default
		return Usagef("max-tunnels must be at least 1; connect-host none allows no tunnels")
	}
	if c.Intercept != (c.InterceptCACert != "") || c.Intercept != (c.InterceptCAKey != "") {
		return Usagef("intercept, intercept-ca-cert and intercept-ca-key go together: set all three, or none")
	}
	if c.Forward, err = forward.NewHosts(stores, c.ForwardHosts, c.ConnectHosts); err != nil {
		return Usagef("%w", err)
	}
	return c.checkNoLoop(stores)
}

// storeURLs are those of all configured stores.
func (c *Config) storeURLs() (all []*url.URL) {
	if c.UpstreamURL != nil {
		all = append(all, c.UpstreamURL)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Buckets)) {
		if u, err := url.Parse(c.Buckets[name].Upstream.URL); err == nil && u.Host != "" {
			all = append(all, u)
		}
	}
	return all
}

// checkNoLoop refuses a way to the stores that leads through this very proxy.
func (c *Config) checkNoLoop(stores []*url.URL) error {
	for _, u := range stores {
		way, err := http.ProxyFromEnvironment(&http.Request{URL: u})
		if err == nil && way != nil && c.Listen != "" && sameAddress(way, c.Listen) {
			return Usagef("HTTP_PROXY or HTTPS_PROXY names %s, which is listen: s3proxy would ask itself for %s. These are for its clients: start it without, or with NO_PROXY", way.Host, u.Host)
		}
	}
	return nil
}
