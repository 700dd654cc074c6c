package running

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// requestLine is the log line about a request.
type requestLine struct {
	Msg, Level, ID, Client, Remote, Op, Method, Bucket, Key, KEK, Code, Integrity, Error string
	UpstreamID                                                                           string `json:"upstream_id"`
	TraceID                                                                              string `json:"trace_id"`
	SpanID                                                                               string `json:"span_id"`
	Status                                                                               int
	Received, Sent                                                                       int64
	Duration                                                                             float64 `json:"duration_ms"`
}

// lineOf waits for the log line of a request, found by the request id that the client got.
func lineOf(t *testing.T, p *lab.ProxyProcess, id string) requestLine {
	t.Helper()
	for until := time.Now().Add(lab.AnswerWithin); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		lines := bufio.NewScanner(strings.NewReader(p.Log()))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var line requestLine
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "request" && line.ID == id {
				return line
			}
		}
	}
	t.Fatalf("no line has the id %q:\n%s", id, p.Log())
	return requestLine{}
}

func TestEachRequestIsOneLineOfTheLogUnderTheIDThatTheClientGot(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	t.Parallel()
	store := lab.SharedVersitygw(t)
	p := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--log-format", "json"}})
	at := p.S3()
	bucket := s3test.NewBucket(t, at)
	path := "/" + bucket + "/a%20key"
	body := s3test.Content(1, 100_000)
	check := func(name string, a s3test.Answer, want requestLine) {
		t.Helper()
		id := a.Header.Get("X-Amz-Request-Id")
		if in := fmt.Sprintf("<RequestId>%s</RequestId>", id); a.Status >= 400 && !strings.Contains(string(a.Body), in) {
			t.Errorf("%s: the error document has no %s: %s", name, in, a.Body)
		}
		got := lineOf(t, p, id)
		if got.Remote == "" || got.Duration <= 0 || got.KEK == "" != (want.KEK == "") || (got.Error == "") != (want.Error == "") {
			t.Errorf("%s: %+v", name, got)
		}
		got.Msg, got.ID, got.Remote, got.Duration, got.UpstreamID, got.KEK, want.KEK, got.Error, want.Error = "", "", "", 0, "", "", "", "", ""
		if want.Status >= 400 {
			got.Sent = 0
		}
		if got != want {
			t.Errorf("%s:\n%+v, want\n%+v", name, got, want)
		}
	}
	client := lab.ClientAccessKey
	check("a PUT", s3test.Call{Method: "PUT", Path: path, Body: body}.Do(t, at),
		requestLine{Level: "INFO", Client: client, Op: "PutObject", Method: "PUT", Bucket: bucket, Key: "a key", KEK: "some", Status: 200, Received: 100_000})
	check("a GET", s3test.Call{Method: "GET", Path: path}.Do(t, at),
		requestLine{Level: "INFO", Client: client, Op: "GetObject", Method: "GET", Bucket: bucket, Key: "a key", KEK: "some", Status: 200, Sent: 100_000})
	check("a key that is not there", s3test.Call{Method: "GET", Path: "/" + bucket + "/none"}.Do(t, at),
		requestLine{Level: "INFO", Client: client, Op: "GetObject", Method: "GET", Bucket: bucket, Key: "none", Status: 404, Code: "NoSuchKey", Error: "some"})
	check("a wrong signature", s3test.Call{Method: "GET", Path: path, Secret: "wrong"}.Do(t, at),
		requestLine{Level: "INFO", Method: "GET", Bucket: bucket, Key: "a key", Status: 403, Code: "SignatureDoesNotMatch", Error: "some"})

	stored := s3test.RawGet(t, store.S3(), path)
	stored.Body[50_000] ^= 1
	s3test.RawPut(t, store.S3(), path, stored)
	got := s3test.Call{Method: "GET", Path: path}.Do(t, at)
	line := lineOf(t, p, got.Header.Get("X-Amz-Request-Id"))
	if line.Level != "ERROR" || line.Integrity != "segment" || line.Bucket != bucket || line.Key != "a key" {
		t.Errorf("a damaged object: %+v", line)
	}
}

func TestTheMetricsListenerServesMetricsAndHealthAndNothingElse(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	t.Parallel()
	store, address := lab.SharedVersitygw(t), lab.FreeAddress(t)
	p := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--metrics-listen", address}})
	bucket := s3test.NewBucket(t, p.S3())
	s3test.RoundTrip(t, p.S3(), bucket, 1000)
	get := func(path string) (int, string) {
		resp, err := http.Get("http://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	status, text := get("/metrics")
	lines := strings.Split(text, "\n")
	for _, want := range []string{
		fmt.Sprintf(`s3proxy_requests_total{bucket="%s",code="2xx",operation="PutObject"} 1`, bucket),
		fmt.Sprintf(`s3proxy_request_bytes_total{bucket="%s"} 1000`, bucket),
		`s3proxy_kms_calls_total{operation="wrap",result="ok"} 1`,
		`s3proxy_cache_entries{cache="window_keys"} 1`,
		fmt.Sprintf(`s3proxy_upstream_up{store="%s"} 1`, store.URL),
	} {
		if status != http.StatusOK || !slices.Contains(lines, want) {
			t.Errorf("%d, and no line %s in\n%s", status, want, text)
		}
	}
	if !strings.Contains(text, "\ns3proxy_windows{kek=\"localfile:#") || !strings.Contains(text, "\ns3proxy_upstream_requests_total{code=\"2xx\",method=\"PUT\"}") || !strings.Contains(text, "\ngo_goroutines ") {
		t.Errorf("windows, requests to the store or goroutines are missing in\n%s", text)
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/debug/pprof/": 404, "/": 404, "/" + bucket: 404} {
		if status, _ := get(path); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
}

// Until a balancer notices that a replica is going away, it still sends requests there.
func TestAProxyServesOnAfterSIGTERMForTheShutdownDelay(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	t.Parallel()
	address := lab.FreeAddress(t)
	p := lab.Proxy(t, lab.ProxyOptions{Upstream: lab.SharedVersitygw(t), Args: []string{"--metrics-listen", address, "--shutdown-delay", "5s"}})
	bucket := s3test.NewBucket(t, p.S3())
	p.Term()
	for until := time.Now().Add(lab.AnswerWithin); !strings.Contains(p.Log(), "shutdown-delay"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("it does not say that it waits:\n%s", p.Log())
		}
	}
	resp, err := http.Get("http://" + address + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("/readyz: %s", resp.Status)
	}
	s3test.RoundTrip(t, p.S3(), bucket, 1000)
	if code, ok := p.Wait(lab.AnswerWithin); !ok || code != 0 {
		t.Errorf("exit code %d (ended: %v)", code, ok)
	}
}
