package main

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
)

// Somebody who tries tokens is seen, and cannot fill the log.
func TestAWrongAdminTokenIsWarnedOfOnceAMinute(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("a token of some length"), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		guard, err := operatorsOf(&config.Config{AdminListen: "127.0.0.1:6060", AdminTokenFile: path}, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		ask := func(token string) {
			r := httptest.NewRequest("GET", "/", nil)
			if r.RemoteAddr = "192.0.2.7:1234"; token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			guard.Of(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
		}
		want := func(n int) {
			t.Helper()
			if got := strings.Count(log.String(), "level=WARN"); got != n || strings.Contains(log.String(), "guess") || strings.Count(log.String(), "remote=192.0.2.7:1234") != n {
				t.Errorf("%d warnings, wanted %d: %s", got, n, &log)
			}
		}
		ask("")
		ask("a token of some length")
		want(0)
		for range 10 {
			ask("a guess of some length")
		}
		want(1)
		time.Sleep(time.Minute)
		ask("a guess of some length")
		ask("a guess of some length")
		want(2)
	})
}

// A web page of another site may have a browser ask for a profile.
func TestAProfileTakesAMinuteAtMost(t *testing.T) {
	t.Parallel()
	handler := profiles()
	for path, want := range map[string]int{
		"profile?seconds=600": 400, "trace?seconds=60.5": 400, "heap?seconds=600": 400, "trace?seconds=NaN": 400, "trace?seconds=Inf": 400, "profile?seconds=9e9": 400,
		"heap?seconds=1": 200, "heap": 200, "cmdline": 200,
	} {
		w := httptest.NewRecorder()
		done := make(chan struct{})
		go func() {
			defer close(done)
			handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/debug/pprof/"+path, nil))
		}()
		select {
		case <-done:
			if w.Code != want {
				t.Errorf("%s: %d, wanted %d", path, w.Code, want)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%s takes long", path)
		}
	}
}
