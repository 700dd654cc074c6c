package metrics

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

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
	m.Observe(proxy.Served{Operation: "GetObject", Method: "GET", Bucket: "photos", Status: 206, Received: 0, Sent: 7, Took: time.Second, FirstByte: time.Millisecond, Plaintext: true})
	m.Observe(proxy.Served{Operation: "PutObject", Method: "PUT", Bucket: "photos", Status: 200, Received: 5, Took: time.Second})
	m.Observe(proxy.Served{Method: "GET", Status: 403, Code: "SignatureDoesNotMatch", Refused: "SignatureDoesNotMatch"})
	m.Observe(proxy.Served{Operation: "GetObject", Method: "GET", Bucket: "photos", Integrity: "segment"})
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
		m.Observe(proxy.Served{Bucket: fmt.Sprint("invented-", n), Status: 404})
	}
	for n := range 10 {
		m.Observe(proxy.Served{Bucket: fmt.Sprint("real-", n), Status: 200})
	}
	m.Observe(proxy.Served{Bucket: "real-1", Status: 503})
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
	none.Observe(proxy.Served{Bucket: "real", Status: 200})
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
	m.Upstream(upstream.Exchange{Method: "PUT", Status: 200, Took: time.Second})
	m.Upstream(upstream.Exchange{Method: "GET", Took: time.Second})
	m.Upstream(upstream.Exchange{Method: "PUT", Took: time.Second, GivenUp: true})
	m.Keys(func() []kms.Held {
		return []kms.Held{{Windows: map[string]int{"k#1": 1}, Cached: 2}, {Windows: map[string]int{"k#1": 2}, Cached: 1}}
	})
	wants(t, scrape(t, m),
		`s3proxy_kms_calls_total{operation="wrap",result="unavailable"} 1`, `s3proxy_kms_calls_total{operation="check",result="ok"} 1`,
		`s3proxy_upstream_requests_total{code="2xx",method="PUT"} 1`, `s3proxy_upstream_requests_total{code="error",method="GET"} 1`,
		`s3proxy_upstream_requests_total{code="canceled",method="PUT"} 1`,
		`s3proxy_windows{kek="k#1"} 3`, `s3proxy_cached_window_keys 3`,
	)
}

func TestRequestsThatAreBeingAnsweredAreCounted(t *testing.T) {
	m := New(Build{}, 1)
	m.InFlight(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { wants(t, scrape(t, m), `s3proxy_requests_in_flight 1`) })).
		ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	wants(t, scrape(t, m), `s3proxy_requests_in_flight 0`)
}

func TestDocsOperationsTellsEveryMetric(t *testing.T) {
	m := New(Build{}, 1)
	m.Observe(proxy.Served{Operation: "GetObject", Status: 200, FirstByte: 1, Refused: "x"})
	m.Upstream(upstream.Exchange{Method: "GET", Status: 200})
	m.Key(failing{}).Check(t.Context())
	m.Keys(func() []kms.Held { return []kms.Held{{Windows: map[string]int{"k": 1}}} })
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
	m := New(Build{}, 1)
	m.Observe(proxy.Served{Operation: "GetObject", Status: 200, FirstByte: 1, Refused: "x"})
	m.Upstream(upstream.Exchange{Method: "GET", Status: 200})
	m.Key(failing{}).Check(t.Context())
	m.Keys(func() []kms.Held { return nil })
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
