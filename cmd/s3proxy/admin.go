package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/time/rate"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/metrics"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/page"
	"github.com/s3proxy/s3proxy/internal/secretfile"
)

// startAdmin serves health, and to operators the page and pprof. It gives nil when admin-listen is
// off. If another process has the default port it only warns, since many run more than one proxy.
func startAdmin(c *config.Config, from page.Source, health *health, log *slog.Logger) (*http.Server, error) {
	if c.AdminListen == "" {
		return nil, nil
	}
	guard, err := operatorsOf(c, log)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", c.AdminListen)
	if errors.Is(err, syscall.EADDRINUSE) && !c.Given("admin-listen") {
		log.Warn("another process uses the default admin address: this one serves no page, /healthz, /readyz and pprof", "address", c.AdminListen)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("admin-listen: %w", err)
	}
	mux := http.NewServeMux()
	health.routes(mux)
	mux.Handle("/", guard.Of(page.Handler(from)))
	mux.Handle("/debug/pprof/", guard.Of(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		health.stores.audit.Operator(r.RemoteAddr, r.URL.Path)
		page.Private(profiles()).ServeHTTP(w, r)
	})))
	return serveOn(listener, mux, "admin", log), nil
}

func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", notForLong(pprof.Index))
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", notForLong(pprof.Profile))
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", notForLong(pprof.Trace))
	return mux
}

// longestProfile is how long a profile may take, in seconds. Where the listener has no TLS and a
// browser knows the token, a page of another site may ask for one.
const longestProfile = 60

// notForLong refuses what would go on for longer.
func notForLong(profile http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if given := r.FormValue("seconds"); given != "" {
			if seconds, err := strconv.ParseFloat(given, 64); err != nil || !(seconds >= 0 && seconds <= longestProfile) {
				http.Error(w, fmt.Sprintf("seconds is 0 to %d", longestProfile), http.StatusBadRequest)
				return
			}
		}
		profile(w, r)
	}
}

// Bounds of the admin token, in bytes: what is shorter can be guessed.
const (
	minToken = 16
	maxToken = 1024
)

// operatorsOf says who may see the page and pprof: whoever has the token, or without one this
// machine's users, who can reach a listener on loopback.
func operatorsOf(c *config.Config, log *slog.Logger) (page.Guard, error) {
	loopback := config.OnLoopback(c.AdminListen)
	if c.AdminTokenFile != "" {
		if _, err := readToken(c.AdminTokenFile); err != nil {
			return page.Guard{}, fmt.Errorf("admin-token-file: %w", err)
		}
		if !loopback && !c.PlaintextListen {
			log.Warn("the admin token goes over the network in the clear: this listener has no TLS. Put a TLS terminator in front of it; --plaintext-listen says that there is one", "admin-listen", c.AdminListen)
		}
		token := func() (string, error) { // read for each request: a new one counts at once
			token, err := readToken(c.AdminTokenFile)
			if err != nil {
				log.Error("the admin token cannot be read: nobody may see page and pprof", "error", err)
			}
			return token, err
		}
		sometimes := &rate.Sometimes{Interval: time.Minute}
		wrong := func(r *http.Request) {
			sometimes.Do(func() {
				log.Warn("somebody shows a wrong admin token; there is one such line a minute at most", "remote", r.RemoteAddr)
			})
		}
		return page.Guard{Token: token, Wrong: wrong}, nil
	}
	if !loopback {
		log.Warn("the admin listener serves /healthz and /readyz alone: others than this machine reach it, and there is no admin-token-file for page and pprof", "admin-listen", c.AdminListen)
		return page.Guard{Open: func(*http.Request) error {
			return errors.New("without --admin-token-file this is served on a loopback address alone")
		}}, nil
	}
	return page.Guard{Open: func(r *http.Request) error {
		if !isThisMachine(r.Host) {
			return errors.New("without --admin-token-file this is served under the names of this machine alone, such as localhost")
		}
		return nil
	}}, nil
}

func readToken(path string) (string, error) {
	content, _, err := secretfile.Read(path, maxToken)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(content))
	if len(token) < minToken {
		return "", fmt.Errorf("%s has a token of %d bytes; it takes %d", path, len(token), minToken)
	}
	return token, nil
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
func startOperators(c *config.Config, from page.Source, m *metrics.Metrics, health *health, log *slog.Logger) (closeAll func(), err error) {
	var servers []*http.Server
	closeAll = func() {
		for _, s := range servers {
			s.Close()
		}
	}
	admin, err := startAdmin(c, from, health, log)
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
