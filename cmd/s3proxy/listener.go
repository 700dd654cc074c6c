package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
)

// Bounds on what a client can cost before it has shown a key.
const (
	// maxHeader bounds the header section in bytes; S3's own limit is half of it, and
	// has S3's own error.
	maxHeader = 16 << 10
	// headerTimeout bounds the time from a connection's first byte to the end of the
	// headers, and that of a TLS handshake before them.
	headerTimeout = 30 * time.Second
	// idleTimeout is how long a connection may idle between two requests.
	idleTimeout = 2 * time.Minute
)

// newServer makes the server of a listener that anybody may reach. Bodies have their own
// deadlines (proxy/timeouts.go).
func newServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		MaxHeaderBytes:    maxHeader,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelError),
	}
}

// listen opens the clients' listener. Connections over the limit wait in the kernel's
// queue; those that are served go on.
func listen(c *config.Config, log *slog.Logger) (net.Listener, error) {
	if !config.OnLoopback(c.Listen) && !c.PlaintextListen {
		log.Warn("clients on other machines send and get what they store in the clear: this listener has no TLS. Put a TLS terminator in front of it; --plaintext-listen says that there is one", "listen", c.Listen)
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return netutil.LimitListener(listener, c.MaxConnections), nil
}
