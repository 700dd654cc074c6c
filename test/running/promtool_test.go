package running

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// scraped returns what Prometheus would get from a proxy.
func scraped(t *testing.T, address string) string {
	t.Helper()
	resp, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("/metrics: %s %v", resp.Status, err)
	}
	return string(text)
}

func TestPromtoolFindsNothingWrongWithTheMetricsOfAProxyInUse(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	t.Parallel()
	promtool := lab.Promtool(t)
	store, address := lab.SharedVersitygw(t), lab.FreeAddress(t)
	p := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--metrics-listen", address, "--allow-plaintext-reads"}})
	at := p.S3()
	bucket := s3test.NewBucket(t, at)
	for n := range 20 {
		s3test.RoundTrip(t, at, bucket, 1000*n)
	}
	path := "/" + bucket + "/damaged"
	s3test.Call{Method: "PUT", Path: path, Body: s3test.Content(1, 100_000)}.Do(t, at)
	stored := s3test.RawGet(t, store.S3(), path)
	stored.Body[50_000] ^= 1
	s3test.RawPut(t, store.S3(), path, stored)
	s3test.Call{Method: "GET", Path: path}.Do(t, at)
	s3test.Call{Method: "GET", Path: path, Secret: "wrong"}.Do(t, at)
	s3test.Call{Method: "GET", Path: "/" + bucket + "/none"}.Do(t, at)
	s3test.Call{Method: "PUT", Path: "/" + bucket + "/plain", Body: []byte("plain")}.Do(t, store.S3())
	s3test.Call{Method: "GET", Path: "/" + bucket + "/plain"}.Do(t, at)
	text := scraped(t, address)
	for _, want := range []string{
		`s3proxy_integrity_failures_total{kind="segment"} 1`, `s3proxy_signatures_refused_total{cause="SignatureDoesNotMatch"} 1`, "s3proxy_plaintext_reads_total 1",
		`s3proxy_ready 1`, fmt.Sprintf("s3proxy_upstream_up{store=%q} 1", store.URL),
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
	if out, err := lab.RunOn(t, lab.Env(), text, promtool, "check", "metrics"); err != nil || strings.TrimSpace(out) != "" {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := lab.RunOn(t, lab.Env(), text+"# TYPE s3proxy_wrongName counter\ns3proxy_wrongName 1\n", promtool, "check", "metrics"); err == nil {
		t.Errorf("promtool finds nothing wrong with a wrong name: %s", out)
	}
}

func TestTheMetricsTellThatChangedCredentialsCannotBeUsed(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	t.Parallel()
	clients := lab.PrivateFile(t, "- {access-key-id: a, secret-access-key: one}\n")
	address := lab.FreeAddress(t)
	lab.Proxy(t, lab.ProxyOptions{Upstream: lab.SharedVersitygw(t), Args: []string{"--metrics-listen", address, "--credentials", clients}})
	becomes := func(value string) {
		t.Helper()
		line := "\ns3proxy_credentials_last_reload_successful " + value + "\n"
		for until := time.Now().Add(lab.AnswerWithin); !strings.Contains(scraped(t, address), line); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(until) {
				t.Fatalf("no line %s", line)
			}
		}
	}
	becomes("1")
	for _, c := range []struct{ text, value string }{
		{"- {access-key-id: a}\n", "0"}, {"- {access-key-id: b, secret-access-key: two}\n", "1"},
	} {
		if err := os.WriteFile(clients, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		becomes(c.value)
	}
}
