package objects

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// The store checks first whether the object has the bytes to copy, and only then whether it is
// still the object that was read.
func TestAnUpdateThatASmallerOverwriteOvertakesBeginsAnew(t *testing.T) {
	if lab.Direct {
		t.Skip("the store alone copies nothing in parts here")
	}
	for _, name := range lab.RealStores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := lab.Open(t, name).Store
			uri, _ := lab.NewKeyset(t)
			other := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--kms", uri}}).S3()
			bucket := s3test.NewBucket(t, other)
			path, large, small := "/"+bucket+"/k", s3test.Content(1, 9<<20), s3test.Content(2, 1000)
			var overtake sync.Once
			forward := lab.WayTo(t, store)
			way := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPut && r.Header.Get("X-Amz-Copy-Source-Range") != "" {
					overtake.Do(func() { s3test.MustPut(t, other, path, small) })
				}
				forward.ServeHTTP(w, r)
			}))
			t.Cleanup(way.Close)
			at := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--kms", uri}, UpstreamURL: way.URL}).S3()
			s3test.MustPut(t, at, path, large)
			update := s3test.Call{Method: http.MethodPut, Path: path, Headers: map[string]string{"x-amz-copy-source": path, "x-amz-metadata-directive": "REPLACE", "x-amz-meta-touched": "yes"}}
			if a := update.Do(t, at); a.Status != http.StatusOK {
				t.Errorf("the update: %v: %s", a, a.Body)
			}
			a := s3test.Call{Method: http.MethodGet, Path: path}.Do(t, at)
			if a.Status != http.StatusOK || s3test.HexSHA256(a.Body) != s3test.HexSHA256(small) || a.Header.Get("X-Amz-Meta-Touched") != "yes" {
				t.Errorf("%v, %d bytes, %v", a, len(a.Body), a.Header)
			}
			overtake.Do(func() { t.Error("no part was copied: nothing was tested") })
		})
	}
}
