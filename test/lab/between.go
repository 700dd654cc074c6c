package lab

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Counted is a store behind a reverse proxy that records the requests.
type Counted struct {
	*httptest.Server
	First func(*http.Request) // called before the store is asked; nil: nothing
	mu    sync.Mutex
	asked []string
}

// During gives the requests that the store gets while a function runs.
func (c *Counted) During(do func()) []string {
	c.mu.Lock()
	c.asked = nil
	c.mu.Unlock()
	do()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

// Count stands in front of a store and records the requests.
func Count(t *testing.T, store *Store) *Counted {
	t.Helper()
	c := &Counted{}
	forward := WayTo(t, store)
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.asked = append(c.asked, r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get("Range"))
		c.mu.Unlock()
		if c.First != nil {
			c.First(r)
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(c.Close)
	return c
}

// WayTo is a way to a store that keeps the requests' host, which they are signed for.
func WayTo(t *testing.T, store *Store) *httputil.ReverseProxy {
	t.Helper()
	target, err := url.Parse(store.URL)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = target.Scheme, target.Host, r.In.Host
	}}
}

// KilledAt runs a program that writes to a store, and kills it at the n-th request of
// those that it picks: the store gets that one when nobody waits for the answer any more.
func KilledAt(t *testing.T, store *Store, n int, picks func(*http.Request) bool, run func(through *Counted) *Process) {
	t.Helper()
	through := Count(t, store)
	var picked atomic.Int64
	killed := make(chan struct{})
	through.First = func(req *http.Request) {
		if picks(req) && picked.Add(1) == int64(n) {
			<-killed
		}
	}
	p := run(through)
	for picked.Load() < int64(n) {
		if code, ended := p.Wait(5 * time.Millisecond); ended {
			t.Fatalf("%s ended with exit code %d after %d requests, of which the %d-th was to end it: %s", p.Name, code, picked.Load(), n, p.Log())
		}
	}
	p.Kill()
	close(killed)
}

// Replaces tells whether a request is what takes the place of an object below a prefix, on
// a condition: a PUT, or the Complete of an upload. No part has this condition.
func Replaces(req *http.Request, bucket, below string) bool {
	return (req.Method == http.MethodPut || req.Method == http.MethodPost) && req.Header.Get("If-Match") != "" && strings.HasPrefix(req.URL.Path, "/"+bucket+"/"+below)
}
