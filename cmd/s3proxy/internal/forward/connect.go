package forward

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// The results of a CONNECT.
const (
	Opened      = "opened"      // a tunnel, whose bytes s3proxy does not see
	Intercepted = "intercepted" // TLS that is ended here
	Refused     = "refused"     // it may not be, or was asked for in no way that we know
	Limited     = "limited"     // there are as many tunnels as there may be
	Unreachable = "unreachable" // the host does not answer
)

// Results are all of them.
func Results() []string { return []string{Opened, Intercepted, Refused, Limited, Unreachable} }

// Connection is one CONNECT and what came of it.
type Connection struct {
	Start          time.Time
	Result         string
	Client, Remote string
	Host           string // and port; "" for what is none: it could hold a secret
	Status         int
	Received, Sent int64 // through the tunnel, in bytes, from and to the client
	Took           time.Duration
	Err            error

	entered bool // it has a place among the tunnels
}

// refusal is an answer to a CONNECT that is no tunnel.
type refusal struct {
	result string
	status int
	text   string
	cause  error
}

func (r *refusal) Error() string {
	if r.cause == nil {
		return r.text
	}
	return r.text + ": " + r.cause.Error()
}

// connect answers CONNECT. Whatever follows a refused one on its connection is thrown away with
// it: it was meant for the other end of a tunnel, and is no request to us.
func (p *Proxy) connect(w http.ResponseWriter, r *http.Request) {
	c := &Connection{Start: time.Now(), Remote: r.RemoteAddr}
	no := p.join(w, r, c)
	if no != nil {
		c.Result, c.Status, c.Err = no.result, no.status, no
		if no.status == http.StatusProxyAuthRequired {
			w.Header().Set("Proxy-Authenticate", `Basic realm="s3proxy", charset="UTF-8"`)
		}
		if no.status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "1")
		}
		w.Header().Set("Connection", "close")
		http.Error(w, "s3proxy: "+no.text, no.status)
	}
	c.Took = time.Since(c.Start)
	p.tell(c)
	if c.entered { // Shutdown waits until it was told of, too
		p.tunnels.leave()
	}
}

// join does what CONNECT asks for, or says why not.
func (p *Proxy) join(w http.ResponseWriter, r *http.Request, c *Connection) *refusal {
	if r.ProtoMajor != 1 {
		return &refusal{Refused, http.StatusNotImplemented, "CONNECT works over HTTP/1.1", nil}
	}
	if r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
		return &refusal{Refused, http.StatusBadRequest, "CONNECT has no body", nil}
	}
	to, err := parse(r.RequestURI, "")
	if err != nil {
		return &refusal{Refused, http.StatusBadRequest, "CONNECT names HOST:PORT", nil}
	}
	c.Host = to.String()
	if p.inside != nil && p.cfg.Hosts.IsStore(to) {
		return p.intercept(w, to, c)
	}
	if c.Client, err = p.cfg.Client(r); err != nil {
		return &refusal{Refused, http.StatusProxyAuthRequired, "a tunnel is for clients: show a client certificate, or access key and secret by Proxy-Authorization", err}
	}
	if !p.cfg.Hosts.MayTunnel(to) {
		return &refusal{Refused, http.StatusForbidden, "no tunnel leads to this host (--connect-host)", nil}
	}
	return p.tunnel(w, r, to, c)
}

func (p *Proxy) tunnel(w http.ResponseWriter, r *http.Request, to Target, c *Connection) *refusal {
	if !p.tunnels.enter() {
		return &refusal{Limited, http.StatusServiceUnavailable, "there are as many tunnels as there may be (--max-tunnels)", nil}
	}
	c.entered = true
	host, err := p.dialer.dial(r.Context(), to)
	switch {
	case errors.Is(err, errReserved) || errors.Is(err, errOurselves):
		return &refusal{Refused, http.StatusForbidden, "no tunnel leads to this address", err}
	case err != nil:
		return &refusal{Unreachable, http.StatusBadGateway, "the host does not answer", err}
	}
	client, early, err := takeOver(w, p.cfg.Connect)
	if err != nil {
		host.Close()
		return &refusal{Refused, http.StatusInternalServerError, "the connection cannot become a tunnel", err}
	}
	c.Result, c.Status = Opened, http.StatusOK
	p.cfg.Log.Info("a tunnel was opened: what goes through it is not encrypted by s3proxy", "host", to.String(), "client", c.Client, "remote", c.Remote)
	one := &tunnel{client: client, host: host}
	p.tunnels.run(one, early)
	c.Received, c.Sent = one.received.Load(), one.sent.Load()
	return nil
}

// takeOver takes a connection from net/http and says that CONNECT succeeded. early is what the
// client has sent behind its request.
func takeOver(w http.ResponseWriter, within time.Duration) (conn net.Conn, early []byte, err error) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if early, err = readBuffered(buffered.Reader); err == nil {
		_ = conn.SetDeadline(time.Now().Add(within))
		_, err = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
		_ = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		conn.Close()
	}
	return conn, early, err
}

func readBuffered(r *bufio.Reader) ([]byte, error) {
	early := make([]byte, r.Buffered())
	_, err := io.ReadFull(r, early)
	return early, err
}

// tell says in the log what came of a CONNECT, and tells the observer.
func (p *Proxy) tell(c *Connection) {
	attrs := []any{"host", c.Host, "client", c.Client, "remote", c.Remote, "result", c.Result, "status", c.Status, "duration_ms", c.Took.Milliseconds()}
	switch c.Result {
	case Opened:
		p.cfg.Log.Info("a tunnel has ended", append(attrs, "received", c.Received, "sent", c.Sent)...)
	case Intercepted:
		p.cfg.Log.Debug("CONNECT to a store: its TLS is ended here", attrs...)
	default:
		p.cfg.Log.Info("CONNECT was refused", append(attrs, "error", c.Err)...)
	}
	p.cfg.Observe(*c)
}

// Tunnels tells how many there are.
func (p *Proxy) Tunnels() int { return len(p.tunnels.places) }
