package proxy

import (
	"io"
	"net/http"
	"testing"
)

// Only a connection that ends without an answer is a reason to ask what the store has refused.
func TestAStoreThatAnswersThatItIsBusyIsNotAskedMore(t *testing.T) {
	t.Parallel()
	f := &fakeStore{hook: func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || r.URL.Path != "/bucket/k" {
			return false
		}
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "<Error><Code>ServiceUnavailable</Code></Error>")
		return true
	}}
	s := proxyBefore(t, f, "us-east-1")
	if resp, body := ask(t, s, "PUT", "/bucket/k", []byte("content")); resp.StatusCode != 503 {
		t.Fatalf("%s %s", resp.Status, body)
	}
	if last := f.asked[len(f.asked)-1]; last != "PUT /bucket/k" {
		t.Errorf("after its answer the store is asked: %s", last)
	}
}
