package proxy

import (
	"net/http"
	"sync"
	"time"
)

// deadlines are those of the client's connection, for one request. A body may still be read when
// its handler has ended, by the transport or by who reads ahead: by then an HTTP/2 stream has no
// deadlines (net/http would crash), and those of an HTTP/1.1 connection are the next request's. So
// nothing is set any more after end.
type deadlines struct {
	of *http.ResponseController

	mu     sync.Mutex
	over   bool
	unread bool // nobody waits for more of the body
}

// setReadDeadline is for the next bytes of the body; zero: they may take any time.
func (d *deadlines) setReadDeadline(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.over && !d.unread {
		_ = d.of.SetReadDeadline(t) // a ResponseWriter that cannot do this has no deadline
	}
}

// setWriteDeadline is for the next bytes of the answer.
func (d *deadlines) setWriteDeadline(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.over {
		_ = d.of.SetWriteDeadline(t)
	}
}

// readNoMore ends a read of the body that still waits, and all that follow.
func (d *deadlines) readNoMore() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.over && !d.unread {
		_ = d.of.SetReadDeadline(time.Now())
	}
	d.unread = true
}

// end is to be called when the handler ends.
func (d *deadlines) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
}
