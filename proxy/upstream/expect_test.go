package upstream

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

func TestALargeBodyIsAskedForFirstAndItsConnectionServesOn(t *testing.T) {
	body := bytes.Repeat([]byte("s3proxy "), expectContinueFrom/8)
	var mu sync.Mutex
	from := map[string]bool{}
	store := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		from[r.RemoteAddr] = true
		mu.Unlock()
		if _, err := io.Copy(io.Discard, r.Body); err != nil || r.Header.Get("Expect") != "100-continue" {
			t.Errorf("%v, %v", err, r.Header)
		}
	}))
	defer store.Close()
	c := newClient(t, store.URL)
	start := time.Now()
	for range 8 {
		resp, err := c.Do(t.Context(), &Request{Method: http.MethodPut, Bucket: someBucket, Key: someKey, Body: bytes.NewReader(body), Length: int64(len(body))})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if took := time.Since(start); len(from) != 1 || took > 8*time.Second { // net/http waits a second for a store that does not say it
		t.Errorf("%d connections, %v", len(from), took)
	}
}
