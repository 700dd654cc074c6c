package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"syscall"
	"time"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
)

// startAdmin serves /healthz (the process runs), /readyz (it can serve: the KMS answers and
// it is not shutting down) and pprof. It gives nil when admin-listen is off. If another
// process has the default port it only warns, since many run more than one proxy.
// warnings are lines of /readyz, whatever else it says.
func startAdmin(c *config.Config, ready func(context.Context) error, warnings []string, log *slog.Logger) (*http.Server, error) {
	if c.AdminListen == "" {
		return nil, nil
	}
	listener, err := net.Listen("tcp", c.AdminListen)
	if errors.Is(err, syscall.EADDRINUSE) && !c.Given("admin-listen") {
		log.Warn("another process uses the default admin address: this one serves no /healthz, /readyz and pprof", "address", c.AdminListen)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("admin-listen: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
		defer cancel()
		lines := append([]string{"ready"}, warnings...)
		if err := ready(ctx); err != nil {
			lines[0] = "not ready: " + err.Error()
			http.Error(w, strings.Join(lines, "\n"), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, strings.Join(lines, "\n"))
	})
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := newServer(mux, log)
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the admin listener stopped", "error", err)
		}
	}()
	return server, nil
}
