package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// http2Server serves a handler over HTTP/2.
func http2Server(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// The transport may still read a body whose handler has ended, and nothing may come of it but an
// error: net/http crashes at the deadlines of an HTTP/2 stream that is over.
func TestABodyMayBeReadWhenItsHandlerHasEnded(t *testing.T) {
	t.Parallel()
	var late io.Reader
	s := http2Server(t, func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{proxy: &Proxy{}, clientRequest: clientRequest{r: r}, response: response{w: newAnswer(w, "id"), noted: &noted{}}}
		late = x.timeoutReader(strings.NewReader("the rest"))
		x.w.WriteHeader(http.StatusOK)
		x.w.deadlines.end()
	})
	resp, err := s.Client().Post(s.URL, "", strings.NewReader("body"))
	if err != nil || resp.ProtoMajor != 2 {
		t.Fatal(resp, err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	s.Close() // the handler has ended
	if got, err := io.ReadAll(late); string(got) != "the rest" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// recorder is a ResponseWriter with deadlines, as Go's servers give one.
type recorder struct {
	http.ResponseWriter
	read []time.Time
}

func (r *recorder) SetReadDeadline(t time.Time) error { r.read = append(r.read, t); return nil }

func TestWhoNeedsNoMoreOfABodyDoesNotWaitForIt(t *testing.T) {
	t.Parallel()
	w := &recorder{ResponseWriter: httptest.NewRecorder()}
	x := &exchange{response: response{w: newAnswer(w, "id"), noted: &noted{}}}
	body := x.timeoutReader(strings.NewReader("the rest"))
	x.w.deadlines.readNoMore()
	if len(w.read) != 1 || time.Since(w.read[0]) < 0 {
		t.Fatalf("deadlines: %v", w.read)
	}
	_, _ = io.Copy(io.Discard, body) // by who does not know it yet
	if len(w.read) != 1 {
		t.Errorf("the client has time again: %v", w.read[1:])
	}
}
