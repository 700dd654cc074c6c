package lab

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Prometheus is a running Prometheus that scrapes every second.
type Prometheus struct {
	*Process
	URL string
}

// NewPrometheus starts a Prometheus for one test. It evaluates a file of rules and scrapes the
// given addresses as the job s3proxy.
func NewPrometheus(t testing.TB, rules string, scraped ...string) *Prometheus {
	t.Helper()
	at := place{t: t}
	address, dir := FreeAddress(t), at.folder("prometheus")
	config := filepath.Join(dir, "prometheus.yaml")
	text := fmt.Sprintf("global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\nrule_files: [%q]\nscrape_configs:\n  - {job_name: s3proxy, static_configs: [{targets: [%s]}]}\n", rules, strings.Join(scraped, ", "))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &Prometheus{URL: "http://" + address, Process: start(at, "prometheus", serverBinary(t, "prometheus"), []string{
		"--config.file", config, "--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", address,
	}, Env())}
	p.until(t, AnswerWithin, func() bool {
		resp, err := http.Get(p.URL + "/-/ready")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return p
}

// Query returns how many series a query yields now.
func (p *Prometheus) Query(t testing.TB, query string) (series int) {
	t.Helper()
	var answer struct {
		Status, Error string
		Data          struct{ Result []json.RawMessage }
	}
	resp, err := http.PostForm(p.URL+"/api/v1/query", url.Values{"query": {query}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Status != "success" {
		t.Fatalf("%s: %s %s %v", query, resp.Status, answer.Error, err)
	}
	return len(answer.Data.Result)
}
