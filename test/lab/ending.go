package lab

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// Ending is how a process reaches its store that ends at one of its requests: nothing that it sends
// afterwards goes out.
type Ending struct {
	// Answered says that the request at which it ends still reaches the store, whose answer
	// nobody reads.
	Answered bool

	left atomic.Int64
}

// NewEnding ends behind so many requests.
func NewEnding(requests int, answered bool) *Ending {
	e := &Ending{Answered: answered}
	e.left.Store(int64(requests))
	return e
}

// Lives tells whether the process got through without ending.
func (e *Ending) Lives() bool { return e.left.Load() >= 0 }

var errEnded = errors.New("the process has ended")

// RoundTrip implements http.RoundTripper.
func (e *Ending) RoundTrip(req *http.Request) (*http.Response, error) {
	left := e.left.Add(-1)
	if left >= 0 {
		return http.DefaultTransport.RoundTrip(req)
	}
	if left == -1 && e.Answered {
		if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	} else if req.Body != nil {
		req.Body.Close()
	}
	return nil, errEnded
}
