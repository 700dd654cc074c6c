package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"syscall"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/metrics"
)

// startAdmin serves health and pprof. It gives nil when admin-listen is off. If another
// process has the default port it only warns, since many run more than one proxy.
func startAdmin(c *config.Config, health *health, log *slog.Logger) (*http.Server, error) {
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
	health.routes(mux)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return serveOn(listener, mux, "admin", log), nil
}

// startMetrics serves metrics and health, and nothing else: whoever scrapes them needs no
// access to pprof. It gives nil when metrics-listen is off.
func startMetrics(c *config.Config, m *metrics.Metrics, health *health, log *slog.Logger) (*http.Server, error) {
	if c.MetricsListen == "" {
		return nil, nil
	}
	listener, err := net.Listen("tcp", c.MetricsListen)
	if err != nil {
		return nil, fmt.Errorf("metrics-listen: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.Handler())
	health.routes(mux)
	return serveOn(listener, mux, "metrics", log), nil
}

// startOperators starts the listeners that are not for clients. closeAll may be called twice.
func startOperators(c *config.Config, m *metrics.Metrics, health *health, log *slog.Logger) (closeAll func(), err error) {
	var servers []*http.Server
	closeAll = func() {
		for _, s := range servers {
			s.Close()
		}
	}
	admin, err := startAdmin(c, health, log)
	if err != nil {
		return nil, err
	}
	if admin != nil {
		servers = append(servers, admin)
	}
	scraped, err := startMetrics(c, m, health, log)
	if err != nil {
		closeAll()
		return nil, err
	}
	if scraped != nil {
		servers = append(servers, scraped)
	}
	return closeAll, nil
}

// serveOn serves a listener for operators, until the server is closed.
func serveOn(listener net.Listener, handler http.Handler, name string, log *slog.Logger) *http.Server {
	server := newServer(handler, log)
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the "+name+" listener stopped", "error", err)
		}
	}()
	return server
}
