// Package limit bounds what clients ask of a proxy at once: requests that are being answered, of
// all clients and of each, and requests a second of each. What is over a limit is refused at once
// with SlowDown, which S3 clients repeat after a while, instead of waiting in memory.
package limit

import (
	"net/http"
	"sync"
	"sync/atomic"

	"golang.org/x/time/rate"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// Limits are those that are set; 0 is none.
type Limits struct {
	Requests       int     // that are being answered
	ClientRequests int     // that are being answered, of one client
	ClientRate     float64 // requests a second of one client
	ClientBurst    int     // requests of one client at one instant, where it has asked for less before
}

// The names of the limits, as the settings have them.
const (
	Requests       = "max-requests"
	ClientRequests = "client-max-requests"
	ClientRate     = "client-rate"
)

// Limiter is safe for concurrent use.
type Limiter struct {
	limits  Limits
	refused func(limit string)
	running atomic.Int64

	mu      sync.Mutex
	clients map[string]*client
}

// client is what a client asks for now. There are no more of them than there are access keys.
type client struct {
	rate    *rate.Limiter
	running atomic.Int64
}

// New makes a Limiter. refused is told of each refusal.
func New(limits Limits, refused func(limit string)) *Limiter {
	return &Limiter{limits: limits, refused: refused, clients: map[string]*client{}}
}

// Admit lets in a request of a client whose access key was verified ("": of all who do not sign),
// until done is called. An error is an *s3err.Error.
func (l *Limiter) Admit(accessKeyID string) (done func(), err error) {
	c := l.client(accessKeyID)
	if l.limits.ClientRate > 0 && !c.rate.Allow() {
		return nil, l.refuse(ClientRate, "This access key makes more requests a second than it may; please try again later.")
	}
	if !enter(&c.running, l.limits.ClientRequests) {
		return nil, l.refuse(ClientRequests, "This access key makes more requests at once than it may; please try again later.")
	}
	if !enter(&l.running, l.limits.Requests) {
		c.running.Add(-1)
		return nil, l.refuse(Requests, "The proxy serves as many requests at once as it may; please try again later.")
	}
	return func() { c.running.Add(-1); l.running.Add(-1) }, nil
}

func (l *Limiter) client(accessKeyID string) *client {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.clients[accessKeyID]
	if c == nil {
		c = &client{rate: rate.NewLimiter(rate.Limit(l.limits.ClientRate), l.limits.ClientBurst)}
		l.clients[accessKeyID] = c
	}
	return c
}

// enter counts one more, unless there are most already.
func enter(running *atomic.Int64, most int) bool {
	if running.Add(1) > int64(most) && most > 0 {
		running.Add(-1)
		return false
	}
	return true
}

func (l *Limiter) refuse(limit, message string) error {
	l.refused(limit)
	e := s3err.SlowDown.WithMessage("%s", message)
	e.Header = http.Header{"Retry-After": {"1"}}
	return e
}
