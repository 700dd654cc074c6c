package test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

// A store looks whether the object has the bytes that are to be copied, before it looks
// whether it is the one that was read.
func TestAnUpdateThatASmallerOverwriteOvertakesBeginsAnew(t *testing.T) {
	if lab.Direct {
		t.Skip("nothing is copied in parts there")
	}
	for _, name := range lab.RealStores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := lab.Open(t, name).Store
			uri, _ := lab.NewKeyset(t)
			other := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--kms", uri}}).S3()
			bucket := newBucket(t, other)
			path, large, small := "/"+bucket+"/k", content(1, 9<<20), content(2, 1000)
			var overtake sync.Once
			forward := lab.WayTo(t, store)
			way := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPut && r.Header.Get("X-Amz-Copy-Source-Range") != "" {
					overtake.Do(func() { mustPut(t, other, path, small) })
				}
				forward.ServeHTTP(w, r)
			}))
			t.Cleanup(way.Close)
			at := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--kms", uri}, UpstreamURL: way.URL}).S3()
			mustPut(t, at, path, large)
			update := call{method: http.MethodPut, path: path, headers: map[string]string{"x-amz-copy-source": path, "x-amz-metadata-directive": "REPLACE", "x-amz-meta-touched": "yes"}}
			if a := update.do(t, at); a.status != http.StatusOK {
				t.Errorf("the update: %v: %s", a, a.body)
			}
			a := call{method: http.MethodGet, path: path}.do(t, at)
			if a.status != http.StatusOK || hexSHA256(a.body) != hexSHA256(small) || a.header.Get("X-Amz-Meta-Touched") != "yes" {
				t.Errorf("%v, %d bytes, %v", a, len(a.body), a.header)
			}
			overtake.Do(func() { t.Error("no part was copied: nothing was tested") })
		})
	}
}
