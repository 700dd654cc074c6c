package proxy

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// Another client deletes the copy before the proxy has asked for its date.
func TestACopyThatWasMadeSucceedsThoughItIsDeletedAtOnce(t *testing.T) {
	t.Parallel()
	for name, start := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var armed atomic.Bool
			var first, second *httptest.Server
			first, second = twoReplicas(t, start(t), func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodHead && r.URL.Path == "/bucket/k" && armed.CompareAndSwap(true, false) {
					mustAsk(t, second, "DELETE", "/bucket/k", nil)
				}
				return false
			})
			mustAsk(t, first, "PUT", "/bucket/source", []byte("copied"))
			armed.Store(true)
			// With another checksum it is read and written anew.
			resp, text := ask(t, first, "PUT", "/bucket/k", nil, "x-amz-copy-source", "bucket/source", "x-amz-checksum-algorithm", "SHA256")
			if resp.StatusCode != 200 || !strings.Contains(text, "<LastModified>20") || armed.Load() {
				t.Errorf("%s %s, armed %v", resp.Status, text, armed.Load())
			}
		})
	}
}
