package forward

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
)

// inside serves the connections whose TLS is ended here, in the store's place.
type inside struct {
	server  *http.Server
	conns   chan net.Conn
	closed  chan struct{}
	closing sync.Once
}

// Certificates give what is shown in a store's place.
type Certificates interface {
	// Config is for a server: host gives the host that a connection is for.
	Config(host func(net.Conn) string) *tls.Config
}

// Intercept ends TLS to stores here, with certificates that are made for their hosts. server has
// the limits; its handler is set. serve ends after Shutdown, without an error.
func (p *Proxy) Intercept(server *http.Server, by Certificates) (serve func() error) {
	in := &inside{server: server, conns: make(chan net.Conn), closed: make(chan struct{})}
	server.Handler = http.HandlerFunc(p.serveInside)
	server.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, insideKey{}, insideOf(c.(*tls.Conn).NetConn()))
	}
	server.TLSConfig = by.Config(func(c net.Conn) string { return insideOf(c).Host })
	p.inside = in
	return func() error {
		if err := server.ServeTLS(in, "", ""); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}
}

// intercept hands a connection to the server inside.
func (p *Proxy) intercept(w http.ResponseWriter, to Target, c *Connection) *refusal {
	conn, early, err := takeOver(w, p.cfg.Connect)
	if err != nil {
		return &refusal{Refused, http.StatusInternalServerError, "the connection cannot become a tunnel", err}
	}
	c.Result, c.Status = Intercepted, http.StatusOK
	select {
	case p.inside.conns <- &insideConn{Conn: conn, early: early, at: to}:
	case <-p.inside.closed:
		conn.Close()
	}
	return nil
}

type insideKey struct{}

// insideConn is a client's connection behind its CONNECT.
type insideConn struct {
	net.Conn
	early []byte // sent with the CONNECT
	at    Target
}

func insideOf(c net.Conn) Target {
	if in, is := c.(*insideConn); is {
		return in.at
	}
	return Target{}
}

func (c *insideConn) Read(p []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(p, c.early)
		c.early = c.early[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// serveInside handles a request for the host that the CONNECT named, and for no other.
func (p *Proxy) serveInside(w http.ResponseWriter, r *http.Request) {
	at, _ := r.Context().Value(insideKey{}).(Target)
	r.Header.Del("Proxy-Authorization")
	r.Header.Del("Proxy-Connection")
	named, err := parse(r.Host, "443")
	switch {
	case r.Method == http.MethodConnect:
		r = refused(r, errNested)
	case !isOriginForm(r):
		r = refused(r, errURI)
	case err != nil || named != at || at == Target{}:
		r = refused(r, errMisplaced)
	default:
		r = r.WithContext(context.WithValue(r.Context(), namedKey{}, true))
	}
	p.cfg.Next.ServeHTTP(w, r)
}

// Accept implements net.Listener.
func (in *inside) Accept() (net.Conn, error) {
	select {
	case c := <-in.conns:
		return c, nil
	case <-in.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (in *inside) Close() error {
	in.closing.Do(func() { close(in.closed) })
	return nil
}

// Addr implements net.Listener.
func (in *inside) Addr() net.Addr { return &net.TCPAddr{} }

// Shutdown waits for tunnels and for requests inside, and cuts them when ctx ends. The server
// that has the Proxy for its handler takes no new connections any more.
func (p *Proxy) Shutdown(ctx context.Context) error {
	p.tunnels.drain()
	var requests error
	if p.inside != nil {
		if requests = p.inside.server.Shutdown(ctx); requests != nil {
			p.inside.server.Close()
		}
	}
	return errors.Join(requests, p.tunnels.end(ctx))
}
