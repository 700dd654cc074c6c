package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Whoever reaches /readyz needs no token: however often it is asked, the KMS is asked once in a
// while, and by one look at a time.
func TestReadyzDoesNotAskTheKMSForEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looks atomic.Int32
		var away atomic.Bool
		h := newHealth(&stores{})
		h.whatIsAway = func(context.Context) (keys, stores []string, usable bool) {
			looks.Add(1)
			time.Sleep(100 * time.Millisecond)
			if away.Load() {
				return []string{"the KMS is away"}, nil, false
			}
			return nil, nil, true
		}
		mux := http.NewServeMux()
		h.routes(mux)
		ask := func(ctx context.Context) (int, string) {
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/readyz", nil))
			return w.Code, w.Body.String()
		}
		want := func(status int, part string, after int32) {
			t.Helper()
			if code, text := ask(t.Context()); code != status || !strings.Contains(text, part) || looks.Load() != after {
				t.Errorf("%d %q after %d looks, wanted %d %q after %d", code, text, looks.Load(), status, part, after)
			}
		}
		gone, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("it asks and goes"))
		ask(gone)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { ask(t.Context()) })
		}
		all.Wait()
		want(200, "ready", 1)
		away.Store(true)
		want(200, "ready", 1)
		time.Sleep(lookAgain)
		want(503, "the KMS is away", 2)
		want(503, "the KMS is away", 2)
		away.Store(false)
		time.Sleep(lookAgain)
		want(200, "ready", 3)
		h.draining.Store(true)
		want(503, "shutting down", 3)
	})
}
