package proxy

import (
	"errors"
	"io"
	"sync"
)

// heldBody is a body in memory that is used again. net/http may go on reading what it sends
// when the exchange is over for its caller: after an early answer, or after nobody waits for one any
// more. So it gets no more than readers, which fail from Close on, and the memory goes back when the
// last call of a reader has returned.
type heldBody struct {
	bytes []byte
	kept  *[]byte    // all of the memory; nil: it is this body's alone
	from  *sync.Pool // of the memory

	mu      sync.Mutex
	reading int // calls of readers
	closed  bool
}

// Close gives the memory back as soon as nobody reads it. It never waits.
func (h *heldBody) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.giveBack()
}

func (h *heldBody) giveBack() {
	if h.kept != nil && h.closed && h.reading == 0 {
		clear(h.bytes)
		h.from.Put(h.kept)
		h.bytes, h.kept = nil, nil
	}
}

// enter lends the memory to a call of a reader, until leave.
func (h *heldBody) enter() ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errHeldClosed
	}
	h.reading++
	return h.bytes, nil
}

func (h *heldBody) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reading--
	h.giveBack()
}

var errHeldClosed = errors.New("the request is over")

// readers returns what gives readers of the whole body; nil where the memory may be read for good.
func (h *heldBody) readers() func() io.ReadCloser {
	if h.kept == nil {
		return nil
	}
	end := len(h.bytes)
	return func() io.ReadCloser { return &heldReader{of: h, end: end} }
}

// heldReader is for one goroutine, beside others on the same body. Its end is one after Close, too:
// a store that has all may answer before net/http has seen that there is no more, and the connection
// would be lost.
type heldReader struct {
	of      *heldBody
	at, end int
}

func (r *heldReader) Read(p []byte) (n int, err error) {
	if r.at == r.end {
		return 0, io.EOF
	}
	b, err := r.of.enter()
	if err != nil {
		return 0, err
	}
	defer r.of.leave()
	n = copy(p, b[r.at:])
	r.at += n
	return n, nil
}

// WriteTo implements io.WriterTo: the rest is sent from where it is. A connection with TLS asks for Read.
func (r *heldReader) WriteTo(w io.Writer) (int64, error) {
	if r.at == r.end {
		return 0, nil
	}
	b, err := r.of.enter()
	if err != nil {
		return 0, err
	}
	defer r.of.leave()
	n, err := w.Write(b[r.at:])
	r.at += n
	return int64(n), err
}

// Close ends nothing: net/http closes a reader and may want another one.
func (r *heldReader) Close() error { return nil }
