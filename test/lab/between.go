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

// During returns the requests that the store gets while a function runs.
func (c *Counted) During(do func()) []string {
	c.mu.Lock()
	c.asked = nil
	c.mu.Unlock()
	do()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

// Count puts a recording proxy in front of a store.
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

// WayTo forwards to a store and keeps the requests' Host, which is part of their signature.
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

// KilledAt runs a program that writes to a store, and kills it at the n-th of the requests that
// picks selects. The store receives that request when nobody waits for the answer any more.
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
			t.Fatalf("%s ended with exit code %d after %d requests; it should have been killed at request %d: %s", p.Name, code, picked.Load(), n, p.Log())
		}
	}
	p.Kill()
	close(killed)
}

// Replaces reports whether a request replaces an object below a prefix under a condition: a PUT, or
// the Complete of an upload. Parts never carry this condition.
func Replaces(req *http.Request, bucket, below string) bool {
	return (req.Method == http.MethodPut || req.Method == http.MethodPost) && req.Header.Get("If-Match") != "" && strings.HasPrefix(req.URL.Path, "/"+bucket+"/"+below)
}
