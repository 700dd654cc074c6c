package main

import (
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/forward"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/origin"
	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// strangers keeps web pages of other sites away from a proxy without authentication, which a
// browser on this machine reaches for them. It is nil for a proxy that asks who clients are.
func strangers(c *config.Config, log *slog.Logger) (refuse func(*http.Request) error) {
	if c.Auth != config.AuthNone {
		return nil
	}
	log.Warn("auth is none: everybody who reaches the listener may read and change everything", "listen", c.Listen)
	return func(r *http.Request) error {
		switch {
		case origin.ByAnotherSite(r) && !origin.IsLink(r):
			return s3err.AccessDenied.WithMessage("Without authentication (--auth none) no web page of another site may ask for anything.")
		case !c.AuthNoneAnywhere && !isOwnHost(c, r.Host) && !forward.NamesStore(r.Context()):
			return s3err.AccessDenied.WithMessage("Without authentication (--auth none) s3proxy answers to loopback addresses and the names of --domain alone.")
		}
		return nil
	}
}

// isOwnHost tells whether a request's host can only be this machine, or is one of our own names.
func isOwnHost(c *config.Config, host string) bool {
	name := hostName(host)
	return isThisMachine(host) || slices.ContainsFunc(c.Domains, func(domain string) bool {
		return strings.EqualFold(name, domain) || strings.HasSuffix(name, "."+strings.ToLower(domain))
	})
}

// isThisMachine tells whether a request's host can only be this machine. Any other name may be
// one that somebody's resolver leads here: so a web page asks for what it could not read otherwise.
func isThisMachine(host string) bool {
	name := hostName(host)
	ip := net.ParseIP(name)
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || ip != nil && ip.IsLoopback()
}

// hostName is a request's host without its port.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}
