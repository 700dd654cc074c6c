package lab

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// Ending is a process's way to its store. It simulates that the process ends at one of its
// requests: nothing that the process sends afterwards goes out.
type Ending struct {
	// Answered says that the last request still reaches the store, but nobody reads the store's
	// answer.
	Answered bool

	left atomic.Int64
}

// NewEnding lets a number of requests through before the process ends.
func NewEnding(requests int, answered bool) *Ending {
	e := &Ending{Answered: answered}
	e.left.Store(int64(requests))
	return e
}

// Lives reports whether the process got through without ending.
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
