package lab

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
)

// Reply is the complete answer of a store, which a lie can change.
type Reply struct {
	Request *http.Request
	Status  int
	Header  http.Header
	Body    []byte
	Endless bool // repeat the body's last bytes until nobody listens
	Cut     bool // close the connection instead of answering
}

// Lie changes an answer, or leaves it alone if the lie does not apply.
type Lie func(*Reply)

// HostileStore stands in front of a real store and tells one lie at a time.
type HostileStore struct {
	*httptest.Server
	mu    sync.Mutex
	lie   Lie
	early func(*http.Request) *Reply
	told  int
}

// endlessUntil is the length at which even an endless body stops, so that a reader without a bound
// fails its test but does not exhaust the machine.
const endlessUntil = 64 << 20

// Hostile makes a HostileStore in front of a store; it is honest at first.
func Hostile(t testing.TB, store *Store) *HostileStore {
	t.Helper()
	h := &HostileStore{}
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a := h.preempt(r); a != nil {
			a.send(w)
			return
		}
		resp, err := store.Forward(transport, r)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		h.answer(w, &Reply{Request: r, Status: resp.StatusCode, Header: resp.Header, Body: body})
	}))
	t.Cleanup(func() { transport.CloseIdleConnections(); h.CloseClientConnections(); h.Close() })
	return h
}

// Tell sets the lie; nil means the truth. It returns how many answers the previous lie changed.
func (h *HostileStore) Tell(lie Lie) (told int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	told, h.told, h.lie = h.told, 0, lie
	return told
}

// Preempt answers requests without reading the body; these requests never reach the store. If the
// function or its answer is nil, the request passes. Preempt returns how many requests the previous
// function answered.
func (h *HostileStore) Preempt(answer func(*http.Request) *Reply) (told int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	told, h.told, h.early = h.told, 0, answer
	return told
}

func (h *HostileStore) preempt(r *http.Request) *Reply {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.early == nil {
		return nil
	}
	a := h.early(r)
	if a != nil {
		h.told++
		a.Request = r
	}
	return a
}

func (h *HostileStore) answer(w http.ResponseWriter, a *Reply) {
	h.mu.Lock()
	if h.lie != nil {
		// Count a lie only if it made a difference.
		status, header, body := a.Status, a.Header.Clone(), bytes.Clone(a.Body)
		h.lie(a)
		same := a.Status == status && bytes.Equal(a.Body, body) && !a.Endless && !a.Cut &&
			maps.EqualFunc(a.Header, header, slices.Equal[[]string])
		if !same {
			h.told++
		}
	}
	h.mu.Unlock()
	a.send(w)
}

func (a *Reply) send(w http.ResponseWriter) {
	if a.Cut {
		panic(http.ErrAbortHandler)
	}
	for name, values := range a.Header {
		w.Header()[name] = values
	}
	body := a.Body
	if claimed, err := strconv.Atoi(a.Header.Get("Content-Length")); err == nil && claimed >= 0 && a.Request.Method != http.MethodHead {
		body = body[:min(len(body), claimed)]
	}
	w.WriteHeader(a.Status)
	if a.Request.Method == http.MethodHead {
		return
	}
	w.Write(body)
	if more := bytes.Repeat([]byte{'x'}, 64<<10); a.Endless {
		for sent := 0; sent < endlessUntil; sent += len(more) {
			if _, err := w.Write(more); err != nil {
				return
			}
		}
	}
}

// SetBody replaces the body and its claimed length.
func (a *Reply) SetBody(b []byte) {
	a.Body = b
	a.Header.Set("Content-Length", strconv.Itoa(len(b)))
}
