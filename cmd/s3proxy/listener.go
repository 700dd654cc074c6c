package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/netutil"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/certs"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/origin"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/watch"
	"github.com/s3proxy/s3proxy/proxy/s3err"
)

const (
	// maxHeader bounds the header section in bytes, of clients that have shown no key yet;
	// S3's own limit is half of it, and has S3's own error.
	maxHeader = 16 << 10
	// maxStreams bounds the requests at once of one HTTP/2 connection. RFC 9113 (6.5.2) recommends
	// 100 and more, for pages of many small files; each costs memory before a key is shown.
	maxStreams = 50
	// operatorTimeout is header-timeout and idle-timeout of the listeners for operators.
	operatorTimeout = 30 * time.Second
)

// newServer makes the server of a listener that anybody may reach. Bodies have their own
// deadlines (proxy/timeouts.go).
func newServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		MaxHeaderBytes:    maxHeader,
		ReadHeaderTimeout: operatorTimeout,
		IdleTimeout:       operatorTimeout,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ErrorLog:          stdlog.New(serverErrors{log}, "", 0),
	}
}

// serverErrors logs what net/http says of connections. A handshake that fails is the client's
// doing, and anybody's: port scanners make them all day.
type serverErrors struct{ log *slog.Logger }

func (e serverErrors) Write(line []byte) (int, error) {
	level := slog.LevelError
	if bytes.HasPrefix(line, []byte("http: TLS handshake error")) {
		level = slog.LevelInfo
	}
	e.log.Log(context.Background(), level, strings.TrimSpace(string(line)))
	return len(line), nil
}

// frontDoor is the listener that S3 clients reach.
type frontDoor struct {
	net.Listener
	tls *certs.Listener // nil: plain HTTP
}

// listenerTLS reads the listener's certificates; nil without TLS.
func listenerTLS(c *config.Config) (*certs.Listener, error) {
	if c.TLSCert == "" {
		return nil, nil
	}
	l, err := certs.NewListener(certs.Files{Cert: c.TLSCert, Key: c.TLSKey, ClientCA: c.TLSClientCA, ClientOptional: c.TLSClientAuth == "optional"})
	if err != nil {
		return nil, config.UsageError{Err: err}
	}
	return l, nil
}

// openFrontDoor opens the clients' listener. Connections over the limit wait in the kernel's
// queue; those that are served go on.
func openFrontDoor(c *config.Config, security *certs.Listener, log *slog.Logger) (*frontDoor, error) {
	door := &frontDoor{tls: security}
	if security == nil && !config.OnLoopback(c.Listen) && !c.PlaintextListen {
		log.Warn("clients on other machines send and get what they store in the clear: this listener has no TLS. Give it a certificate (--tls-cert), or put a TLS terminator in front of it; --plaintext-listen says that there is one", "listen", c.Listen)
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	door.Listener = netutil.LimitListener(listener, c.MaxConnections)
	return door, nil
}

// serve answers clients until the server is closed.
func (d *frontDoor) serve(server *http.Server) error {
	if d.tls == nil {
		return server.Serve(d.Listener)
	}
	server.TLSConfig = d.tls.Config()
	return server.ServeTLS(d.Listener, "", "")
}

// follow reads the certificate again when its files change, until stop is called, and shows when
// it ends.
func (d *frontDoor) follow(s *stores, log *slog.Logger) (stop func()) {
	if d.tls == nil {
		return func() {}
	}
	s.metrics.Certificate(func() float64 { return float64(d.tls.Expires().Unix()) })
	paths := d.tls.Paths()
	return watch.Follow("the certificates of listen", paths, func() ([]string, bool, error) {
		changed, err := d.tls.Reload()
		return paths, changed, err
	}, s.reloaded("certificates"), log)
}

// endpoint is the URL that clients use: by the certificate's first name, where its address is
// not one of its names.
func (d *frontDoor) endpoint() string {
	address := d.Addr().String()
	if d.tls == nil {
		return "http://" + address
	}
	host, port, _ := net.SplitHostPort(address)
	if name := d.tls.NameFor(host); name != "" {
		host = name
	}
	return "https://" + net.JoinHostPort(host, port)
}

// ofCertificate tells whose connection a request came by: that of a client whose certificate's
// name stands in the credentials. A connection may be older than what is trusted now. A browser
// shows its user's certificate for any page: for pages of other sites it stands for nothing.
func ofCertificate(trusted *certs.Listener, find func(*x509.Certificate) string) func(*http.Request) (string, error) {
	return func(r *http.Request) (string, error) {
		if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
			return "", nil
		}
		id := find(r.TLS.PeerCertificates[0])
		if id == "" || origin.ByAnotherSite(r) && !origin.IsLink(r) {
			return "", nil
		}
		if err := trusted.Verify(r.TLS.PeerCertificates); err != nil {
			return "", s3err.AccessDenied.WithMessage("The client certificate is no longer valid. Connect again with another.").Because(err)
		}
		return id, nil
	}
}
