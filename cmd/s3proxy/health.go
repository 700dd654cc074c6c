package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/page"
)

// health answers load balancers and orchestrators.
type health struct {
	stores   *stores
	draining atomic.Bool

	whatIsAway func(context.Context) (keys, stores []string, usable bool) // see that of stores
	looks      singleflight.Group
	latest     atomic.Pointer[page.Readiness] // what the last look has shown
}

func newHealth(s *stores) *health { return &health{stores: s, whatIsAway: s.whatIsAway} }

// lookEvery is how often a proxy that has metrics looks whether it is ready, though nobody asks.
const lookEvery = 15 * time.Second

// lookAgain is how old an answer of /readyz may be. Each look is a call of the KMS, and whoever
// reaches /readyz may ask, as often as he likes.
const lookAgain = 2 * time.Second

// lookFor bounds one look.
const lookFor = 5 * time.Second

// follow keeps the metric of readiness fresh, and has the log say when it changes, until ctx ends.
func (h *health) follow(ctx context.Context) {
	before := true
	for {
		now := h.recent(ctx, lookAgain)
		if ctx.Err() != nil {
			return
		}
		if now.Ready != before {
			before = now.Ready
			if now.Ready {
				h.stores.log.Info("ready again")
			} else {
				h.stores.log.Warn("not ready: requests cannot be served", "error", now.Why)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookEvery):
		}
	}
}

// recent is what ready has said within a time, or says now: one look at a time, which whoever asks
// meanwhile waits for. That the proxy shuts down shows at once.
func (h *health) recent(ctx context.Context, within time.Duration) page.Readiness {
	if h.draining.Load() {
		return h.now(ctx)
	}
	known := func() *page.Readiness {
		if r := h.latest.Load(); r != nil && time.Since(r.At) < within {
			return r
		}
		return nil
	}
	if r := known(); r != nil {
		return *r
	}
	look := h.looks.DoChan("", func() (any, error) {
		if r := known(); r != nil { // the look before has just ended
			return *r, nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookFor) // others wait for it, too
		defer cancel()
		r := h.now(ctx)
		h.latest.Store(&r)
		return r, nil
	})
	select {
	case <-ctx.Done():
		return page.Readiness{At: time.Now().UTC(), Why: ctx.Err().Error()}
	case r := <-look:
		if h.draining.Load() {
			return h.now(ctx)
		}
		return r.Val.(page.Readiness)
	}
}

// shown is for the page, which asks every few seconds.
func (h *health) shown(ctx context.Context) page.Readiness { return h.recent(ctx, lookEvery) }

// now is what ready says.
func (h *health) now(ctx context.Context) page.Readiness {
	notes, err := h.ready(ctx)
	r := page.Readiness{Ready: err == nil, At: time.Now().UTC(), Notes: append([]string{}, notes...), Keys: h.stores.tried()}
	if err != nil {
		r.Why = err.Error()
	}
	return r
}

// routes adds /healthz (the process runs) and /readyz (it can serve) to mux.
func (h *health) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		now := h.recent(r.Context(), lookAgain)
		lines := append([]string{"ready"}, now.Notes...)
		if !now.Ready {
			lines[0] = "not ready: " + now.Why
			http.Error(w, strings.Join(lines, "\n"), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, strings.Join(lines, "\n"))
	})
}

// ready fails when no request could be served: the proxy is shutting down, or there is no bucket
// whose store answers and whose keys can be used. A KMS that is away for a moment must not take
// all replicas out of their balancer at once, while the window keys that they hold serve most
// requests; nor must the KMS or the store of one bucket take the others along.
func (h *health) ready(ctx context.Context) (notes []string, err error) {
	if h.stores.metrics != nil {
		defer func() { h.stores.metrics.Ready(err == nil && !h.draining.Load()) }()
	}
	notes = h.stores.warnings()
	if h.draining.Load() {
		return notes, errors.New("shutting down")
	}
	keys, stores, usable := h.whatIsAway(ctx)
	if !usable {
		return notes, errors.New(strings.Join(append(stores, keys...), "; "))
	}
	for _, text := range stores {
		notes = append(notes, "warning: "+text+"; other stores are served")
	}
	for _, text := range keys {
		notes = append(notes, "warning: "+text+"; other keys, and those in memory, serve what they can")
	}
	return notes, nil
}

// whatIsAway tells which keys for writing do not work now, which stores have not answered for
// too long, and whether any bucket can be used: its store answers, and so does its KMS, or there
// are keys in memory.
func (s *stores) whatIsAway(ctx context.Context) (keys, stores []string, usable bool) {
	ids := slices.Collect(maps.Keys(s.keyrings))
	errs := make([]error, len(ids))
	var all sync.WaitGroup
	for i, id := range ids {
		all.Go(func() { errs[i] = s.keyrings[id].Check(ctx) })
	}
	all.Wait()
	s.remember(ids, errs)
	usable = len(ids) == 0
	for i, id := range ids {
		seen := s.reaches[id.store] // nil: the embedded store, without which the process ends
		away := seen != nil && seen.away()
		if away {
			stores = append(stores, fmt.Sprintf("the store %s has not answered %s", seen.at, seen.howLong()))
		}
		if errs[i] != nil {
			keys = append(keys, errs[i].Error())
		}
		usable = usable || !away && (errs[i] == nil || s.keyrings[id].Held().Any())
	}
	slices.Sort(keys)
	slices.Sort(stores)
	return slices.Compact(keys), slices.Compact(stores), usable // keyrings share keys and stores
}

// remember keeps what trying the keys for writing has shown.
func (s *stores) remember(ids []keyringID, errs []error) {
	keys := make([]page.Key, len(ids))
	for i, id := range ids {
		keys[i].URI, _, _ = strings.Cut(id.kms, "\n") // the first is the one for writing
		if errs[i] != nil {
			keys[i].Error = errs[i].Error()
		}
	}
	keys = page.Keys(keys)
	s.triedKeys.Store(&keys)
}

// tried tells what trying the keys for writing has shown last.
func (s *stores) tried() []page.Key {
	if keys := s.triedKeys.Load(); keys != nil {
		return *keys
	}
	return []page.Key{}
}
