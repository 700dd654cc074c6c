package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// health answers load balancers and orchestrators.
type health struct {
	stores   *stores
	draining atomic.Bool
}

// routes adds /healthz (the process runs) and /readyz (it can serve) to mux.
func (h *health) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
		defer cancel()
		notes, err := h.ready(ctx)
		lines := append([]string{"ready"}, notes...)
		if err != nil {
			lines[0] = "not ready: " + err.Error()
			http.Error(w, strings.Join(lines, "\n"), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, strings.Join(lines, "\n"))
	})
}

// ready fails when no request could be served: the proxy is shutting down, or no KMS answers
// and no key is in memory. A KMS that is away for a moment must not take all replicas out of
// their balancer at once, while the window keys that they hold serve most requests; nor must
// that of one bucket take the others along.
func (h *health) ready(ctx context.Context) (notes []string, err error) {
	notes = h.stores.warnings()
	if h.draining.Load() {
		return notes, errors.New("shutting down")
	}
	wrong, usable := h.stores.tryKeys(ctx)
	if !usable {
		return notes, errors.New(strings.Join(wrong, "; "))
	}
	for _, text := range wrong {
		notes = append(notes, "warning: "+text+"; other keys, and those in memory, serve what they can")
	}
	return notes, nil
}
