package lab

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// balanced is two proxies behind a load balancer; Exchange replaces them one after the other.
type balanced struct {
	t     *testing.T
	store *Store
	front *httptest.Server

	mu      sync.Mutex
	proxies []*ProxyProcess
	next    atomic.Int64
}

// S3 is the address at which clients reach both.
func (b *balanced) S3() S3 {
	at := b.proxies[0].S3()
	at.URL = b.front.URL
	return at
}

// Exchange restarts each proxy with other settings. It takes the old one out of the balancer, ends
// it gracefully, and puts the new one in.
func (b *balanced) Exchange(env []string, args ...string) {
	for range 2 {
		b.mu.Lock()
		old := b.proxies[0]
		b.proxies = slices.Clone(b.proxies[1:])
		b.mu.Unlock()
		time.Sleep(200 * time.Millisecond) // let a request that was just sent arrive
		old.Term()
		old.Wait(AnswerWithin)
		fresh := Proxy(b.t, ProxyOptions{Upstream: b.store, Env: env, Args: args})
		b.mu.Lock()
		b.proxies = append(b.proxies, fresh)
		b.mu.Unlock()
		time.Sleep(time.Second) // let both be used
	}
}

// Balance starts two proxies in front of a store, and a load balancer in front of them.
func Balance(t *testing.T, store *Store, env []string, args ...string) *balanced {
	return BalanceBefore(t, [2]*Store{store, store}, env, args...)
}

// BalanceBefore is Balance with a store for each proxy.
func BalanceBefore(t *testing.T, stores [2]*Store, env []string, args ...string) *balanced {
	b := &balanced{t: t, store: stores[0]}
	for _, store := range stores {
		b.proxies = append(b.proxies, Proxy(t, ProxyOptions{Upstream: store, Env: env, Args: args}))
	}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		b.mu.Lock()
		to, err := url.Parse(b.proxies[int(b.next.Add(1))%len(b.proxies)].S3().URL)
		b.mu.Unlock()
		if err == nil {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = to.Scheme, to.Host, r.In.Host
		}
	}}
	b.front = httptest.NewServer(http.HandlerFunc(forward.ServeHTTP))
	t.Cleanup(b.front.Close)
	return b
}
