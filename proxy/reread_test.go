package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/s3proxy/s3proxy/proxy/upstream"
	"github.com/s3proxy/s3proxy/test/lab"
)

// The answers are right again after that: the object must be, too.
func TestAnUpdateThatReadsAWrongByteLeavesTheObject(t *testing.T) {
	t.Parallel()
	store := lab.Versitygw(t)
	var wrong atomic.Bool
	var told atomic.Int64
	front := inFront(t, store, func(w http.ResponseWriter, r *http.Request) bool {
		if !wrong.Load() || r.Method != http.MethodGet || r.Header.Get("Range") == "" {
			return false
		}
		resp, err := store.Forward(http.DefaultTransport, r)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if len(body) > 4096 { // the trailer is true
			body[len(body)/2] ^= 1
			told.Add(1)
		}
		for name, values := range resp.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(resp.StatusCode)
		w.Write(body)
		return true
	})
	for _, payload := range []upstream.Payload{upstream.PayloadChecked, upstream.PayloadUnsigned} {
		p := beforeWith(t, front, payload)
		p.others.Limits.Buffer, p.others.Limits.CopyPart = 1<<20, 6<<20 // of 8 MiB one piece is copied in the store, and ends within a segment
		s := httptest.NewServer(p)
		t.Cleanup(s.Close)
		ask(t, s, "PUT", "/bucket", nil)
		for _, size := range []int{5000, 900 << 10, 3 << 20, 8 << 20} {
			path, body := fmt.Sprintf("/bucket/k%d-%v", size, payload), randomBytes(1, size)
			mustAsk(t, s, "PUT", path, body)
			update := []string{"X-Amz-Copy-Source", path[1:], "X-Amz-Metadata-Directive", "REPLACE", "X-Amz-Meta-Color", "blue"}
			wrong.Store(true)
			told.Store(0)
			if resp, text := ask(t, s, "PUT", path, nil, update...); told.Load() > 0 && resp.StatusCode < 500 {
				t.Errorf("%d bytes, payload %v: the update: %s %s", size, payload, resp.Status, text)
			}
			if told.Load() == 0 && size < 1<<20 {
				t.Errorf("%d bytes, payload %v: nothing was read wrong", size, payload)
			}
			wrong.Store(false)
			if resp, got := ask(t, s, "GET", path, nil); resp.StatusCode != 200 || got != string(body) {
				t.Errorf("%d bytes, payload %v: the object is now %s, %d bytes", size, payload, resp.Status, len(got))
				continue
			}
			mustAsk(t, s, "PUT", path, nil, update...)
			if _, got := mustAsk(t, s, "GET", path, nil); !bytes.Equal([]byte(got), body) {
				t.Errorf("%d bytes, payload %v: after the update: %d bytes", size, payload, len(got))
			}
		}
	}
}
