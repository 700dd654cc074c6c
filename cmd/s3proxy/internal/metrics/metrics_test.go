package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/forward"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.Code != http.StatusOK {
		t.Fatalf("%d, %v", answer.Code, err)
	}
	return string(text)
}

func wants(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains("\n"+text, "\n"+line+"\n") {
			t.Errorf("there is no line %s in\n%s", line, text)
		}
	}
}

func TestARequestIsCountedOnceByOperationClassAndBucket(t *testing.T) {
	m := New(Build{"1", "c", "go"}, 10)
	m.Observe(t.Context(), proxy.Served{Operation: "GetObject", Method: "GET", Bucket: "photos", Status: 206, Received: 0, Sent: 7, Took: time.Second, FirstByte: time.Millisecond, Plaintext: true})
	m.Observe(t.Context(), proxy.Served{Operation: "PutObject", Method: "PUT", Bucket: "photos", Status: 200, Received: 5, Took: time.Second})
	m.Observe(t.Context(), proxy.Served{Method: "GET", Status: 403, Code: "SignatureDoesNotMatch", Refused: "SignatureDoesNotMatch"})
	m.Observe(t.Context(), proxy.Served{Operation: "GetObject", Method: "GET", Bucket: "photos", Integrity: "segment"})
	text := scrape(t, m)
	wants(t, text,
		`s3proxy_requests_total{bucket="photos",code="2xx",operation="GetObject"} 1`,
		`s3proxy_requests_total{bucket="photos",code="error",operation="GetObject"} 1`,
		`s3proxy_requests_total{bucket="",code="4xx",operation="unknown"} 1`,
		`s3proxy_response_bytes_total{bucket="photos"} 7`, `s3proxy_request_bytes_total{bucket="photos"} 5`,
		`s3proxy_signatures_refused_total{cause="SignatureDoesNotMatch"} 1`,
		`s3proxy_integrity_failures_total{kind="segment"} 1`, `s3proxy_integrity_failures_total{kind="below-floor"} 0`,
		`s3proxy_plaintext_reads_total 1`, `s3proxy_build_info{commit="c",goversion="go",version="1"} 1`,
		`s3proxy_request_duration_seconds_bucket{operation="PutObject",le="1"} 1`,
		`s3proxy_time_to_first_byte_seconds_count{operation="GetObject"} 1`,
	)
}

func TestNamesThatClientsInventTakeNoMemory(t *testing.T) {
	m := New(Build{}, 3)
	for n := range 1000 {
		m.Observe(t.Context(), proxy.Served{Bucket: fmt.Sprint("invented-", n), Status: 404})
	}
	for n := range 10 {
		m.Observe(t.Context(), proxy.Served{Bucket: fmt.Sprint("real-", n), Status: 200})
	}
	m.Observe(t.Context(), proxy.Served{Bucket: "real-1", Status: 503})
	text := scrape(t, m)
	wants(t, text,
		`s3proxy_requests_total{bucket="other",code="4xx",operation="unknown"} 1000`,
		`s3proxy_requests_total{bucket="real-2",code="2xx",operation="unknown"} 1`,
		`s3proxy_requests_total{bucket="other",code="2xx",operation="unknown"} 7`,
		`s3proxy_requests_total{bucket="real-1",code="5xx",operation="unknown"} 1`,
	)
	if strings.Contains(text, "invented") {
		t.Error("an invented name is a label")
	}
	none := New(Build{}, 0)
	none.Observe(t.Context(), proxy.Served{Bucket: "real", Status: 200})
	wants(t, scrape(t, none), `s3proxy_requests_total{bucket="other",code="2xx",operation="unknown"} 1`)
}

type failing struct{ kms.Key }

func (failing) Wrap(context.Context, []byte, kms.Context) (kms.Wrapped, error) {
	return kms.Wrapped{}, fmt.Errorf("the vault: %w", kms.ErrUnavailable)
}

func (failing) Check(context.Context) error { return nil }

func TestCallsOfAKMSAndOfAStoreAreCountedByResult(t *testing.T) {
	m := New(Build{}, 1)
	key := m.Key(failing{})
	if _, err := key.Wrap(t.Context(), nil, nil); err == nil {
		t.Error("the error is lost")
	}
	if err := key.Check(t.Context()); err != nil {
		t.Error(err)
	}
	m.Upstream(t.Context(), upstream.Exchange{Method: "PUT", Status: 200, Took: time.Second})
	m.Upstream(t.Context(), upstream.Exchange{Method: "GET", Took: time.Second})
	m.Upstream(t.Context(), upstream.Exchange{Method: "PUT", Took: time.Second, GivenUp: true})
	wants(t, scrape(t, m),
		`s3proxy_kms_calls_total{operation="wrap",result="unavailable"} 1`, `s3proxy_kms_calls_total{operation="check",result="ok"} 1`,
		`s3proxy_upstream_requests_total{code="2xx",method="PUT"} 1`, `s3proxy_upstream_requests_total{code="error",method="GET"} 1`,
		`s3proxy_upstream_requests_total{code="canceled",method="PUT"} 1`,
	)
}

func TestRequestsThatAreBeingAnsweredAreCounted(t *testing.T) {
	m := New(Build{}, 1)
	m.InFlight(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { wants(t, scrape(t, m), `s3proxy_requests_in_flight 1`) })).
		ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	wants(t, scrape(t, m), `s3proxy_requests_in_flight 0`)
}

func TestWhatIsInMemoryIsCountedWhenSomebodyLooks(t *testing.T) {
	m := New(Build{}, 1)
	m.Memory(func() []kms.Held {
		return []kms.Held{
			{Cached: 2, Hits: 5, Misses: 1},
			{Windows: map[string]int{"k#1": 1}, NextEnd: time.Unix(2000, 0)},
			{Windows: map[string]int{"k#1": 2}, NextEnd: time.Unix(1000, 0), Cached: 1, Hits: 2, Misses: 3},
		}
	}, func() []proxy.CacheUse { return []proxy.CacheUse{{Name: "trailers", Entries: 9, Hits: 8, Misses: 7}} })
	wants(t, scrape(t, m),
		`s3proxy_windows{kek="k#1"} 3`, `s3proxy_windows_next_end_timestamp_seconds 1000`,
		`s3proxy_cache_entries{cache="window_keys"} 3`, `s3proxy_cache_entries{cache="trailers"} 9`,
		`s3proxy_cache_lookups_total{cache="window_keys",result="hit"} 7`, `s3proxy_cache_lookups_total{cache="window_keys",result="miss"} 4`,
		`s3proxy_cache_lookups_total{cache="trailers",result="hit"} 8`, `s3proxy_cache_lookups_total{cache="trailers",result="miss"} 7`,
	)
	none := New(Build{}, 1)
	none.Memory(func() []kms.Held { return []kms.Held{{}} }, func() []proxy.CacheUse { return nil })
	if text := scrape(t, none); strings.Contains(text, "s3proxy_windows") {
		t.Errorf("there are no windows:\n%s", text)
	}
}

func TestUpkeepIsCounted(t *testing.T) {
	m := New(Build{}, 1)
	value := func(name string) (v float64) {
		t.Helper()
		for line := range strings.Lines(scrape(t, m)) {
			if rest, ok := strings.CutPrefix(line, name+" "); ok {
				v, _ = strconv.ParseFloat(strings.TrimSpace(rest), 64)
				return v
			}
		}
		t.Fatalf("there is no %s", name)
		return 0
	}
	recent := func(name string) {
		t.Helper()
		if at := time.Unix(int64(value(name)), 0); time.Since(at) > time.Minute {
			t.Errorf("%s is %v", name, at)
		}
	}
	const reloaded, swept = "s3proxy_credentials_last_reload_success_timestamp_seconds", "s3proxy_last_successful_sweep_timestamp_seconds"
	wants(t, scrape(t, m), `s3proxy_ready 0`, `s3proxy_credentials_last_reload_successful 1`, `s3proxy_sweeps_total{result="failed"} 0`, swept+` 0`)
	recent(reloaded)
	m.Ready(true)
	m.Credentials(errors.New("no such file"))
	m.Swept(proxy.SweepRound{Buckets: 2, Removed: 3, Failed: 1})
	wants(t, scrape(t, m), `s3proxy_ready 1`, `s3proxy_credentials_last_reload_successful 0`,
		`s3proxy_sweeps_total{result="failed"} 1`, `s3proxy_sweeps_total{result="ok"} 0`, swept+` 0`,
		`s3proxy_swept_uploads_total{result="removed"} 3`, `s3proxy_swept_uploads_total{result="failed"} 1`)
	recent(reloaded)
	m.Ready(false)
	m.Credentials(nil)
	m.Swept(proxy.SweepRound{Buckets: 2, Removed: 4})
	wants(t, scrape(t, m), `s3proxy_ready 0`, `s3proxy_credentials_last_reload_successful 1`, `s3proxy_sweeps_total{result="ok"} 1`, `s3proxy_swept_uploads_total{result="removed"} 7`)
	recent(swept)
	m.Stores(func() map[string]bool { return map[string]bool{"http://a": true, "http://b": false} })
	wants(t, scrape(t, m), `s3proxy_upstream_up{store="http://a"} 1`, `s3proxy_upstream_up{store="http://b"} 0`)
}

// everything gives metrics of which each has a value.
func everything(t *testing.T) *Metrics {
	m := New(Build{}, 1)
	m.Observe(t.Context(), proxy.Served{Operation: "GetObject", Status: 200, FirstByte: 1, Refused: "x"})
	m.Upstream(t.Context(), upstream.Exchange{Method: "GET", Status: 200})
	m.Key(failing{}).Check(t.Context())
	m.Memory(func() []kms.Held { return []kms.Held{{Windows: map[string]int{"k": 1}, NextEnd: time.Now()}} }, func() []proxy.CacheUse { return nil })
	m.Stores(func() map[string]bool { return map[string]bool{"http://a": true} })
	m.Limits("max-requests")
	m.Certificate(func() float64 { return 1 })
	m.Connect(forward.Connection{Result: forward.Opened, Sent: 1})
	m.Tunnels(func() int { return 1 })
	return m
}

func TestDocsOperationsTellsEveryMetric(t *testing.T) {
	m := everything(t)
	docs, err := os.ReadFile("../../../../docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if name := f.GetName(); strings.HasPrefix(name, "s3proxy_") && !strings.Contains(string(docs), "`"+name+"`") {
			t.Errorf("docs/OPERATIONS.md does not tell of %s", name)
		}
	}
	for _, kind := range proxy.IntegrityKinds() {
		if !strings.Contains(string(docs), "`"+kind+"`") {
			t.Errorf("docs/OPERATIONS.md does not tell of the kind %s", kind)
		}
	}
}

// What promtool check metrics would say.
func TestNamesFollowPrometheusConventions(t *testing.T) {
	m := everything(t)
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
