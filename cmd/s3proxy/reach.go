package main

import (
	"sync"
	"time"

	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// reach tells whether a store answers, as the exchanges with it show: an error of the store's is
// an answer, a refused connection, a cut or a deadline is none.
type reach struct {
	at string // the store's URL
	// unreadyAfter is how long a store may not answer before the proxy counts as unable to
	// serve what is there; 0: that never counts.
	unreadyAfter time.Duration

	mu     sync.Mutex
	last   time.Time // of the last answer
	silent time.Time // when the first exchange without an answer ended since; zero: the last one had one
}

func (r *reach) observe(e upstream.Exchange) {
	if e.GivenUp {
		return
	}
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case e.Status != 0:
		r.last, r.silent = now, time.Time{}
	case r.silent.IsZero():
		r.silent = now
	}
}

// silence is for how long the store has not answered; 0: it did when it was asked last.
func (r *reach) silence() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.silent.IsZero() {
		return 0
	}
	return max(time.Since(r.silent), 1)
}

// away tells whether the store has been silent for so long that nothing there can be served. One
// that has not answered since the start may be the wrong one: that must not take minutes to show,
// in which a rolling update replaces what works.
func (r *reach) away() bool {
	silence := r.silence()
	return r.unreadyAfter > 0 && silence > 0 && (silence >= r.unreadyAfter || r.never())
}

// howLong says for how long the store has not answered.
func (r *reach) howLong() string {
	if r.never() {
		return "since the start"
	}
	return "for " + r.silence().Round(time.Second).String()
}

// never tells that the store has not answered yet.
func (r *reach) never() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last.IsZero()
}

// unsure tells whether only a look shows that the store answers: it did not when it was asked
// last, or nobody has asked it for a while.
func (r *reach) unsure() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.silent.IsZero() || time.Since(r.last) >= tryAgain
}

// lookEvery is how often the store is looked at while it is silent: a proxy that is not ready
// gets no requests that could show that it is back.
func (r *reach) lookEvery() time.Duration {
	const most = 10 * time.Second
	if r.unreadyAfter == 0 { // the metrics tell all the same
		return most
	}
	return min(max(r.unreadyAfter/4, 100*time.Millisecond), most)
}
