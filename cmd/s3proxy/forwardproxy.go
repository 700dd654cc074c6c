package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/certs"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/forward"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/watch"
	"github.com/s3proxy/s3proxy/proxy"
)

// authorityEnds is how long before its end the authority of intercept is warned of.
const authorityEnds = 30 * 24 * time.Hour

// forwarding is what makes the listener a proxy for clients that keep the store's endpoint. A nil
// one does nothing.
type forwarding struct {
	proxy  *forward.Proxy
	serve  func() error // of the connections whose TLS is ended here; nil: of none
	follow func() (stop func())
}

// openForwarding reads what forward-proxy needs; nil without it. next handles S3 requests.
func openForwarding(c *config.Config, served proxy.Config, next http.Handler, s *stores, log *slog.Logger) (*forwarding, error) {
	if c.Forward == nil {
		return nil, nil
	}
	f := &forwarding{proxy: forward.New(forward.Config{
		Hosts: c.Forward, Next: next, Client: mayTunnel(c, served.Credential, served.OfConnection),
		MaxTunnels: c.MaxTunnels, Idle: c.IdleTimeout, Connect: c.UpstreamConnectTimeout, Listens: []string{c.Listen, c.AdminListen, c.MetricsListen},
		Observe: func(e forward.Connection) { s.metrics.Connect(e); s.audit.Tunnel(e) }, Log: log,
	})}
	log.Info("listen is an HTTP proxy for these hosts of stores", "hosts", c.Forward.Stores())
	log.Info("CONNECT may lead here, and what goes through it is not encrypted by s3proxy", "hosts", c.Forward.Tunnels(), "intercept", c.Intercept)
	if !c.Intercept {
		return f, nil
	}
	authority, err := certs.NewAuthority(c.InterceptCACert, c.InterceptCAKey)
	if err != nil {
		return nil, config.Usagef("intercept: %w", err)
	}
	if ends := authority.Expires(); time.Until(ends) < authorityEnds {
		log.Warn("the authority of intercept ends soon: then clients get no connection to the stores' hosts any more", "ends", ends.Format(time.DateOnly))
	} else {
		log.Info("TLS to the stores' hosts is ended here", "authority-ends", ends.Format(time.DateOnly))
	}
	inside := newServer(nil, log)
	inside.ReadHeaderTimeout, inside.IdleTimeout, inside.ConnState = c.HeaderTimeout, c.IdleTimeout, s.metrics.Connection
	f.serve = f.proxy.Intercept(inside, authority)
	f.follow = func() func() {
		return watch.Follow("the certificates of intercept", authority.Paths(), func() ([]string, bool, error) {
			changed, err := authority.Reload()
			return authority.Paths(), changed, err
		}, s.reloaded("intercept"), log)
	}
	return f, nil
}

// handler is next, behind the proxy if there is one.
func (f *forwarding) handler(next http.Handler) http.Handler {
	if f == nil {
		return next
	}
	return f.proxy
}

// start serves what is intercepted, until it is drained. ended is told if that fails.
func (f *forwarding) start(ended chan<- error) (stop func()) {
	if f == nil || f.serve == nil {
		return func() {}
	}
	go func() {
		if err := f.serve(); err != nil {
			ended <- err
		}
	}()
	return f.follow()
}

// tunnels tells how many are open.
func (f *forwarding) tunnels() int {
	if f == nil {
		return 0
	}
	return f.proxy.Tunnels()
}

// drain ends what is silent, and waits for the rest as long as ctx says.
func (f *forwarding) drain(ctx context.Context) error {
	if f == nil {
		return nil
	}
	return f.proxy.Shutdown(ctx)
}

// refusals are asked for each S3 request before anything else: of requests to a proxy that are not
// for a store, and of strangers.
func refusals(strangers func(*http.Request) error) func(*http.Request) error {
	return func(r *http.Request) error {
		if err := forward.Refusal(r.Context()); err != nil || strangers == nil {
			return err
		}
		return strangers(r)
	}
}

// mayTunnel tells who asks for a tunnel. CONNECT carries no S3 signature: a client shows its
// certificate, or its access key and secret where nobody else can read them.
func mayTunnel(c *config.Config, find func(string) (proxy.Credential, bool), ofConnection func(*http.Request) (string, error)) func(*http.Request) (string, error) {
	if c.Auth == config.AuthNone {
		return func(*http.Request) (string, error) { return "", nil }
	}
	return func(r *http.Request) (string, error) {
		if ofConnection != nil {
			if id, err := ofConnection(r); err != nil || id != "" {
				return id, err
			}
		}
		shown := &http.Request{Header: http.Header{"Authorization": r.Header.Values("Proxy-Authorization")}}
		id, secret, ok := shown.BasicAuth()
		switch {
		case !ok || len(r.Header.Values("Proxy-Authorization")) != 1:
			return "", errors.New("nothing shows who asks")
		case r.TLS == nil && !config.OnLoopback(r.RemoteAddr):
			return "", errors.New("access key and secret came in the clear from another machine, and are not looked at: give listen a certificate")
		}
		known, ok := find(id)
		if !ok || known.Secret == "" || !sameSecret(secret, known.Secret) {
			return "", errors.New("access key or secret is wrong")
		}
		return id, nil
	}
}

// sameSecret compares in a time that says nothing of either.
func sameSecret(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
