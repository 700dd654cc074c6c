package proxy

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/s3proxy/s3proxy/proxy/upstream"
	"github.com/s3proxy/s3proxy/test/lab"
)

// versitygw keeps what came of a bare body that is cut, in the place of the object.
func TestAnUpdateWhoseSourceIsCutLeavesTheObject(t *testing.T) {
	t.Parallel()
	var cut atomic.Bool
	store := lab.Versitygw(t)
	front := inFront(t, store, func(w http.ResponseWriter, r *http.Request) bool {
		var first, last int
		if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last); !cut.Load() || n != 2 || r.Method != http.MethodGet || first != 0 {
			return false
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", last, last+1))
		w.Header().Set("Content-Length", fmt.Sprint(last+1))
		w.WriteHeader(http.StatusPartialContent)
		w.Write(make([]byte, last/2))
		panic(http.ErrAbortHandler)
	})
	s := httptest.NewServer(beforeWith(t, front, upstream.PayloadUnsigned))
	t.Cleanup(s.Close)
	mustAsk(t, s, "PUT", "/bucket", nil)
	body := randomBytes(1, 900<<10)
	mustAsk(t, s, "PUT", "/bucket/k", body)
	update := []string{"X-Amz-Copy-Source", "bucket/k", "X-Amz-Metadata-Directive", "REPLACE", "X-Amz-Meta-Color", "blue"}
	cut.Store(true)
	if resp, text := ask(t, s, "PUT", "/bucket/k", nil, update...); resp.StatusCode < 500 {
		t.Errorf("the update: %s %s", resp.Status, text)
	}
	cut.Store(false)
	if resp, got := ask(t, s, "GET", "/bucket/k", nil); resp.StatusCode != 200 || got != string(body) {
		t.Errorf("the object is now %s, %d bytes", resp.Status, len(got))
	}
	mustAsk(t, s, "PUT", "/bucket/k", nil, update...)
	if resp, got := mustAsk(t, s, "GET", "/bucket/k", nil); got != string(body) || !strings.Contains(resp.Header.Get("X-Amz-Meta-Color"), "blue") {
		t.Errorf("after the update: %d bytes, %v", len(got), resp.Header)
	}
}
