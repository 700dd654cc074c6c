package proxy

import (
	"io"
	"net/http"
	"time"
)

// idleLimit is how long a client may send or take nothing in the middle of a
// body: longer than any pause of a working one, and an end to those that hold
// memory and connections for nothing.
const idleLimit = 2 * time.Minute

// documentTime is how long a client has, from the end of its headers on, for what is small
// and held in memory until it is whole: a document, or a form up to its file. A trickle
// does not prolong it. It is also all that is waited for a body that nobody reads.
const documentTime = 30 * time.Second

// renewEvery saves setting the connection's deadline at each read and write.
const renewEvery = 5 * time.Second

// drainLimit bounds what is still read of a refused upload, in bytes and time.
const (
	drainLimit   = 4 << 20
	drainTimeout = 5 * time.Second
)

// idleTimeout renews a deadline of the client's connection while bytes move.
type idleTimeout struct {
	set  func(time.Time) error
	last time.Time
}

func (p *idleTimeout) renew() {
	if now := time.Now(); now.Sub(p.last) > renewEvery {
		p.last = now
		_ = p.set(now.Add(idleLimit)) // not every ResponseWriter can: then there is none
	}
}

// startDeadline sets the deadline that holds until a reader of the body renews it.
func (x *exchange) startDeadline() {
	if x.r.ContentLength != 0 {
		_ = http.NewResponseController(x.w).SetReadDeadline(time.Now().Add(x.documentTime))
	}
}

type timeoutReader struct {
	io.Reader
	idleTimeout
	atDeadline bool // nothing is renewed yet
}

// timeoutReader is for a body that streams, which has the time that it needs.
func (x *exchange) timeoutReader(r io.Reader) io.Reader { return x.reader(r, false) }

// deadlineReader is for a body, or its beginning, that has to be here by the deadline.
func (x *exchange) deadlineReader(r io.Reader) *timeoutReader { return x.reader(r, true) }

func (x *exchange) reader(r io.Reader, atDeadline bool) *timeoutReader {
	return &timeoutReader{r, idleTimeout{set: http.NewResponseController(x.w).SetReadDeadline}, atDeadline}
}

func (r *timeoutReader) Read(p []byte) (int, error) {
	if !r.atDeadline {
		r.renew()
	}
	n, err := r.Reader.Read(p)
	if err == io.EOF {
		// Behind the body net/http watches whether the client is still there,
		// for as long as the store takes. After any other error it reads what is left of
		// the body, for which the deadline must stay.
		_ = r.set(time.Time{})
	}
	return n, err
}

type timeoutWriter struct {
	io.Writer
	idleTimeout
}

func (x *response) timeoutWriter() io.Writer {
	return &timeoutWriter{x.w, idleTimeout{set: http.NewResponseController(x.w).SetWriteDeadline}}
}

func (w *timeoutWriter) Write(p []byte) (int, error) {
	w.renew()
	return w.Writer.Write(p)
}

// clearDeadlines takes the write deadline off: the connection serves on.
func (x *response) clearDeadlines() {
	_ = http.NewResponseController(x.w).SetWriteDeadline(time.Time{})
}

// drain reads a little more of a refused upload. A client that is answered
// while it still sends may take the closed connection for the answer.
func (x *exchange) drain() {
	_ = http.NewResponseController(x.w).SetReadDeadline(time.Now().Add(drainTimeout))
	_, _ = io.CopyN(io.Discard, x.r.Body, drainLimit)
}
