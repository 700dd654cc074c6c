package main

import (
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// guarded keeps web pages of other sites away from a proxy without authentication, which a
// browser on this machine reaches for them.
func guarded(c *config.Config, next http.Handler, log *slog.Logger) http.Handler {
	if c.Auth != config.AuthNone {
		return next
	}
	log.Warn("auth is none: everybody who reaches the listener may read and change everything", "listen", c.Listen)
	origins := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case origins.Check(r) != nil:
			s3err.AccessDenied.WithMessage("Without authentication (--auth none) no web page of another site may change anything.").Write(w, r, "", "", "")
		case !c.AuthNoneAnywhere && !isOwnHost(c, r.Host):
			s3err.AccessDenied.WithMessage("Without authentication (--auth none) s3proxy answers to loopback addresses and the names of --domain alone.").Write(w, r, "", "", "")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// isOwnHost tells whether a request's host can only be this machine, or is one of our own names.
func isOwnHost(c *config.Config, host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback() ||
		slices.ContainsFunc(c.Domains, func(domain string) bool {
			return strings.EqualFold(host, domain) || strings.HasSuffix(host, "."+strings.ToLower(domain))
		})
}
