package upstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Timeouts are how long a store may be silent.
type Timeouts struct {
	Connect time.Duration // a TCP connection, and a TLS handshake after it; 0: 10 s
	// Answer: the headers of an answer, from the last byte of the request; 0: 5 minutes. S3 may
	// take minutes for CompleteMultipartUpload and for copies.
	Answer time.Duration
	// Stall: the next byte of a body, either way; 0: 2 minutes.
	Stall time.Duration
}

func (t Timeouts) orDefaults() Timeouts {
	return Timeouts{cmp.Or(t.Connect, 10*time.Second), cmp.Or(t.Answer, 5*time.Minute), cmp.Or(t.Stall, 2*time.Minute)}
}

// errStalled says that a store was silent in the middle of a body.
var errStalled = errors.New("the store is silent in the middle of a body")

// errTooLong says that a body goes on behind what was announced of it.
var errTooLong = errors.New("the body is longer than its length")

// dialer gives connections on which a store must take what it is sent.
func dialer(t Timeouts) func(ctx context.Context, network, address string) (net.Conn, error) {
	d := &net.Dialer{Timeout: t.Connect, KeepAlive: 30 * time.Second}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &takingConn{Conn: conn, stall: t.Stall}, nil
	}
}

// takingConn is a connection whose other end must take something now and then.
type takingConn struct {
	net.Conn
	stall time.Duration
	given atomic.Pointer[time.Time] // the deadline of who uses it, as TLS sets one for its end
}

func (c *takingConn) Write(p []byte) (int, error) {
	deadline := time.Now().Add(c.stall)
	if given := c.given.Load(); given != nil && !given.IsZero() && given.Before(deadline) {
		deadline = *given
	}
	if err := c.Conn.SetWriteDeadline(deadline); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// ReadFrom implements io.ReaderFrom, which net/http asks for behind the headers. It gives a body
// inside an io.LimitedReader; one that can write itself is sent from where it is, and not copied
// through 32 KiB.
func (c *takingConn) ReadFrom(r io.Reader) (int64, error) {
	if limited, ok := r.(*io.LimitedReader); ok {
		if body, ok := limited.R.(io.WriterTo); ok {
			return body.WriteTo(&pieces{of: c, left: limited.N})
		}
	}
	return io.Copy(struct{ io.Writer }{c}, r)
}

// pieceSize is how many bytes a store must take before its time begins anew.
const pieceSize = 256 << 10

// pieces writes by pieces, up to a number of bytes.
type pieces struct {
	of   *takingConn
	left int64
}

func (w *pieces) Write(p []byte) (n int, err error) {
	if int64(len(p)) > w.left {
		return 0, errTooLong
	}
	for n < len(p) && err == nil {
		var written int
		written, err = w.of.Write(p[n:min(n+pieceSize, len(p))])
		n += written
	}
	w.left -= int64(n)
	return n, err
}

func (c *takingConn) SetWriteDeadline(t time.Time) error {
	c.given.Store(&t)
	return c.Conn.SetWriteDeadline(t)
}

func (c *takingConn) SetDeadline(t time.Time) error {
	c.given.Store(&t)
	return c.Conn.SetDeadline(t)
}

// steady makes the answer's body one that fails when the store is silent for too long. What the
// reader does between two reads does not count. end is called when the body is closed.
func (t Timeouts) steady(ctx context.Context, resp *http.Response, end context.CancelCauseFunc) {
	b := &steadyBody{ReadCloser: resp.Body, ctx: ctx, stall: t.Stall, end: end}
	b.timer = time.AfterFunc(t.Stall, func() { end(fmt.Errorf("%w for %v", errStalled, t.Stall)) })
	b.timer.Stop()
	resp.Body = b
}

type steadyBody struct {
	io.ReadCloser
	ctx   context.Context // of the request
	stall time.Duration
	timer *time.Timer
	end   context.CancelCauseFunc
}

func (b *steadyBody) Read(p []byte) (int, error) {
	b.timer.Reset(b.stall)
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	if err != nil && err != io.EOF {
		if cause := context.Cause(b.ctx); errors.Is(cause, errStalled) {
			err = cause
		}
	}
	return n, err
}

func (b *steadyBody) Close() error {
	b.timer.Stop()
	err := b.ReadCloser.Close()
	b.end(nil)
	return err
}
