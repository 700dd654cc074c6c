package proxy

import (
	"io"
	"time"
)

// idleLimit is how long a client may neither send nor take anything in the middle of a body. It is
// longer than any pause of a working client, and ends those that hold memory and connections for
// nothing.
const idleLimit = 2 * time.Minute

// strangerLimit is how long the end of an answer may take to a client that has shown no key.
const strangerLimit = 10 * time.Second

// documentTime is how long a client has, from the end of its headers, for what is held in memory
// until it is complete: a document, or a form up to its file. A trickle does not extend it. It
// also limits the wait for a body that is not read.
const documentTime = 30 * time.Second

// renewEvery is how often the connection's deadline is moved at most.
const renewEvery = 5 * time.Second

// drainLimit bounds what is still read of a refused upload, in bytes and time.
const (
	drainLimit   = 4 << 20
	drainTimeout = 5 * time.Second
)

// idleTimeout renews a deadline of the client's connection while bytes move.
type idleTimeout struct {
	of   *deadlines
	set  func(*deadlines, time.Time)
	last time.Time
}

func (p *idleTimeout) renew() {
	if now := time.Now(); now.Sub(p.last) > renewEvery {
		p.last = now
		p.set(p.of, now.Add(idleLimit))
	}
}

// startDeadline sets the deadline that holds until a reader of the body renews it.
func (x *exchange) startDeadline() {
	if x.r.ProtoMajor < 2 { // that of the request before; over HTTP/2 each has its own
		x.w.deadlines.setWriteDeadline(time.Time{})
	}
	if x.r.ContentLength != 0 {
		x.w.deadlines.setReadDeadline(time.Now().Add(x.proxy.documentTime))
	}
}

type timeoutReader struct {
	io.Reader
	idleTimeout
	atDeadline bool // nothing is renewed yet
}

// timeoutReader is for a streamed body, which may take as long as bytes keep coming.
func (x *exchange) timeoutReader(r io.Reader) io.Reader { return x.reader(r, false) }

// deadlineReader is for a body, or its beginning, that has to arrive by the deadline.
func (x *exchange) deadlineReader(r io.Reader) *timeoutReader { return x.reader(r, true) }

func (x *exchange) reader(r io.Reader, atDeadline bool) *timeoutReader {
	return &timeoutReader{r, idleTimeout{of: &x.w.deadlines, set: (*deadlines).setReadDeadline}, atDeadline}
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
		r.of.setReadDeadline(time.Time{})
	}
	return n, err
}

// clientGone is a failure to send an answer to a client: nothing is wrong with the proxy or the
// store.
type clientGone struct{ cause error }

func (e clientGone) Error() string {
	return "the client takes no more of the answer: " + e.cause.Error()
}

func (e clientGone) Unwrap() error { return e.cause }

// boundEnd limits what net/http still has to send when a handler has ended: over HTTP/2 a client may
// open no window for it, over HTTP/1.1 it may not read. Whoever has shown no key has less time.
func (x *exchange) boundEnd() {
	if x.auth == nil || x.auth.AccessKeyID == "" {
		x.w.deadlines.setWriteDeadline(time.Now().Add(strangerLimit))
		return
	}
	x.w.idle.renew()
}

// drain reads a little more of a refused upload. A client that is answered
// while it still sends may take the closed connection for the answer.
func (x *exchange) drain() {
	x.w.deadlines.setReadDeadline(time.Now().Add(drainTimeout))
	_, _ = io.CopyN(io.Discard, x.r.Body, drainLimit)
}
