package upstream

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

func TestAStoreInTroubleIsSentFewRequestsMore(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	client := newClient(t, server.URL)
	client.cfg.Attempts, client.budget = 2, newRetryBudget(2)
	for range 20 {
		if _, err := client.Do(t.Context(), &Request{Method: http.MethodGet, Bucket: someBucket, Key: someKey}); err == nil {
			t.Error("a success")
		}
	}
	if n := asked.Load(); n != 22 {
		t.Errorf("%d requests, want 20 and the 2 of the budget", n)
	}
}

func TestSuccessesFillTheBudgetAgain(t *testing.T) {
	t.Parallel()
	b := newRetryBudget(3)
	for i := range 4 {
		if b.take() != (i < 3) {
			t.Errorf("repetition %d", i)
		}
	}
	for range retryCost {
		if b.take() {
			t.Error("a repetition too early")
		}
		b.succeeded()
	}
	if !b.take() || b.take() {
		t.Error("five successes give back one")
	}
	for range 1000 {
		b.succeeded()
	}
	for i := range 4 {
		if b.take() != (i < 3) {
			t.Errorf("after many successes, repetition %d", i)
		}
	}
	if unbounded := newRetryBudget(0); !unbounded.take() {
		t.Error("0 is no bound")
	}
}
