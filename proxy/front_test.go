package proxy

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

// inFront puts a hook in front of a real store: it sees each request first, and may answer
// in the store's place.
func inFront(t *testing.T, store *lab.Store, hook func(w http.ResponseWriter, r *http.Request) (done bool)) *lab.Store {
	t.Helper()
	behind, err := url.Parse(store.URL)
	if err != nil {
		t.Fatal(err)
	}
	pass := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(behind)
			r.Out.Host = r.In.Host // it is signed
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { panic(http.ErrAbortHandler) },
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !hook(w, r) {
			pass.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(front.Close)
	hooked := *store
	hooked.URL = front.URL
	return &hooked
}
