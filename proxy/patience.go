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

// renewEvery saves setting the connection's deadline at each read and write.
const renewEvery = 5 * time.Second

// drainLimit bounds what is still read of a refused upload, in bytes and time.
const (
	drainLimit   = 4 << 20
	drainTimeout = 5 * time.Second
)

// patience renews a deadline of the client's connection while bytes move.
type patience struct {
	set  func(time.Time) error
	last time.Time
}

func (p *patience) renew() {
	if now := time.Now(); now.Sub(p.last) > renewEvery {
		p.last = now
		_ = p.set(now.Add(idleLimit)) // not every ResponseWriter can: then there is none
	}
}

type patientReader struct {
	io.Reader
	patience
}

func (x *exchange) patientReader(r io.Reader) io.Reader {
	return &patientReader{r, patience{set: http.NewResponseController(x.w).SetReadDeadline}}
}

func (r *patientReader) Read(p []byte) (int, error) {
	r.renew()
	n, err := r.Reader.Read(p)
	if err != nil {
		// Behind the body net/http watches whether the client is still there,
		// for as long as the store takes.
		_ = r.set(time.Time{})
	}
	return n, err
}

type patientWriter struct {
	io.Writer
	patience
}

func (x *exchange) patientWriter() io.Writer {
	return &patientWriter{x.w, patience{set: http.NewResponseController(x.w).SetWriteDeadline}}
}

func (w *patientWriter) Write(p []byte) (int, error) {
	w.renew()
	return w.Writer.Write(p)
}

// forgetPatience takes the write deadline off: the connection serves on.
func (x *exchange) forgetPatience() {
	_ = http.NewResponseController(x.w).SetWriteDeadline(time.Time{})
}

// drain reads a little more of a refused upload. A client that is answered
// while it still sends may take the closed connection for the answer.
func (x *exchange) drain() {
	_ = http.NewResponseController(x.w).SetReadDeadline(time.Now().Add(drainTimeout))
	_, _ = io.CopyN(io.Discard, x.r.Body, drainLimit)
}
