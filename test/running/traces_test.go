package running

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// headersOf records one header of every request that a store gets.
type headersOf struct {
	*lab.Counted
	mu  sync.Mutex
	got []http.Header
}

func record(t *testing.T, store *lab.Store) *headersOf {
	h := &headersOf{Counted: lab.Count(t, store)}
	h.First = func(r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.got = append(h.got, r.Header.Clone())
	}
	return h
}

func (h *headersOf) of(name string) (values []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, header := range h.got {
		values = append(values, header.Values(name)...)
	}
	return values
}

// The span that a client names, as defined by W3C Trace Context.
const (
	clientTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	clientSpan  = "00f067aa0ba902b7"
)

func TestARequestIsATraceWithChildrenForKMSAndStore(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	t.Parallel()
	vault := lab.NewVault(t)
	vault.CreateKey(t, "traced")
	for _, c := range []struct {
		name, protocol string
		store          *lab.Store
		kms            string
		kind           int // of the KMS's spans
	}{
		{"http to MinIO with Vault", "", lab.SharedMinIO(t), "vault://transit/traced", 3},
		{"grpc to versitygw", "grpc", lab.SharedVersitygw(t), "", 1},
		{"json to MinIO", "http/json", lab.SharedMinIO(t), "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			collector, through := lab.NewCollector(t), record(t, c.store)
			at := collector.HTTP
			if c.protocol == "grpc" {
				at = collector.GRPC
			}
			options := lab.ProxyOptions{
				Upstream: c.store, UpstreamURL: through.URL, Args: []string{"--log-format", "json"},
				Env: append(vault.Env(), "OTEL_EXPORTER_OTLP_ENDPOINT="+at, "OTEL_EXPORTER_OTLP_PROTOCOL="+c.protocol, "OTEL_SERVICE_NAME=at-night",
					"OTEL_BSP_SCHEDULE_DELAY=100", "OTEL_EXPORTER_OTLP_HEADERS=authorization=a%20token"),
			}
			if c.kms != "" {
				options.Args = append(options.Args, "--kms", c.kms)
			}
			p := lab.Proxy(t, options)
			bucket := s3test.NewBucket(t, p.S3())
			client, key, body := s3test.SDK(t, p.S3()), "a folder/an object", s3test.Content(1, 200_000)
			if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body)}); err != nil {
				t.Fatal(err)
			}
			s3test.MustRead(t, client, bucket, key, body)
			put := collector.AwaitSpan(t, "PutObject", func(s lab.Span) bool { return s.Name == "S3.PutObject" })
			get := collector.AwaitSpan(t, "GetObject", func(s lab.Span) bool { return s.Name == "S3.GetObject" })
			if put.Parent != "" || get.Parent != "" || put.Trace == get.Trace || put.Service != "at-night" {
				t.Errorf("%+v and %+v", put, get)
			}
			wantAttributes(t, put, map[string]string{
				"http.request.method": "PUT", "http.response.status_code": "200", "aws.s3.bucket": bucket, "aws.s3.key": key, "server.address": "127.0.0.1",
				"client.address": "127.0.0.1", "url.scheme": "http", "enduser.id": lab.ClientAccessKey, "network.protocol.version": "1.1", "url.path": "/" + bucket + "/a%20folder/an%20object",
			})
			if line := lineOf(t, p, put.Attributes["aws.request_id"]); line.TraceID != put.Trace || line.SpanID != put.ID {
				t.Errorf("the log's line has %s %s, the span %s %s", line.TraceID, line.SpanID, put.Trace, put.ID)
			}
			wrap := childOf(t, collector, put, "kms wrap")
			wantAttributes(t, wrap, map[string]string{"aws.s3.bucket": bucket})
			if wrap.Kind != c.kind || !strings.HasPrefix(wrap.Attributes["s3proxy.kek"], strings.SplitN(c.kms+"localfile", ":", 2)[0]) {
				t.Errorf("%+v", wrap)
			}
			stored := childOf(t, collector, put, "PUT")
			wantAttributes(t, stored, map[string]string{"http.request.method": "PUT", "http.response.status_code": "200", "server.address": "127.0.0.1", "network.peer.address": "127.0.0.1"})
			read := childOf(t, collector, get, "GET")
			if full := read.Attributes["url.full"]; full != through.URL+"/"+bucket+"/a%20folder/an%20object" {
				t.Errorf("the store was asked for %s", full)
			}
			if stored.Begins.Before(put.Begins) || stored.Ends.After(put.Ends) || read.Kind != 3 || put.Kind != 2 {
				t.Errorf("%+v is not part of %+v", stored, put)
			}
			told := through.of("Traceparent")
			for _, s := range []lab.Span{stored, read} {
				if want := "00-" + s.Trace + "-" + s.ID + "-01"; !slices.Contains(told, want) {
					t.Errorf("the store did not get %s: %s", want, told)
				}
			}

			presigned := s3test.Call{Method: "GET", Path: "/" + bucket + "/a%20folder/an%20object"}.Presign(p.S3(), time.Minute)
			presigned.Headers = map[string]string{"traceparent": "00-" + clientTrace + "-" + clientSpan + "-01", "tracestate": "vendor=of-the-client", "baggage": "user=of-the-client"}
			answer := presigned.Do(t, p.S3())
			if answer.Status != http.StatusOK || !bytes.Equal(answer.Body, body) {
				t.Fatal(answer)
			}
			shared := collector.AwaitSpan(t, "the presigned request", func(s lab.Span) bool { return s.Trace == clientTrace && s.Name == "S3.GetObject" })
			if shared.Parent != clientSpan || !strings.Contains(shared.Attributes["url.query"], "X-Amz-Signature=***") {
				t.Errorf("%+v", shared)
			}
			childOf(t, collector, shared, "GET")
			if told := fmt.Sprint(through.of("Tracestate"), through.of("Baggage")); told != "[] []" {
				t.Errorf("the store got %s", told)
			}

			refused := s3test.Call{Method: "GET", Path: "/" + bucket + "/none"}.Do(t, p.S3())
			missing := collector.AwaitSpan(t, "the missing object", func(s lab.Span) bool {
				return s.Attributes["aws.request_id"] == refused.Header.Get("X-Amz-Request-Id")
			})
			if missing.Failed || missing.Attributes["s3proxy.error_code"] != "NoSuchKey" || missing.Attributes["error.type"] != "" || !childOf(t, collector, missing, "GET").Failed {
				t.Errorf("%+v", missing)
			}

			p.Term()
			if code, ok := p.Wait(lab.AnswerWithin); !ok || code != 0 {
				t.Errorf("exit code %d (ended: %v)", code, ok)
			}
			sent := collector.Log()
			query, err := url.ParseQuery(presigned.Query)
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{
				lab.ClientSecretKey, c.store.SecretKey, vault.RootToken, refused.Signature, query.Get("X-Amz-Signature"), query.Get("X-Amz-Credential"), "a token", "user=of-the-client",
			} {
				if secret == "" || strings.Contains(sent, secret) {
					t.Errorf("%q was sent to the collector", secret)
				}
			}
			if found := regexp.MustCompile(`(?i)signature=[0-9a-f]|credential=[^*]|authorization`).FindString(sent); found != "" {
				t.Errorf("%s was sent to the collector", found)
			}
		})
	}
}

func wantAttributes(t *testing.T, s lab.Span, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if s.Attributes[name] != value {
			t.Errorf("%s has %s=%q, want %q", s.Name, name, s.Attributes[name], value)
		}
	}
}

func childOf(t *testing.T, c *lab.Collector, parent lab.Span, name string) lab.Span {
	t.Helper()
	return c.AwaitSpan(t, name+" of "+parent.Name, func(s lab.Span) bool {
		return s.Name == name && s.Trace == parent.Trace && s.Parent == parent.ID
	})
}

func TestTracesAreOffUnlessTheEnvironmentSaysWhereTo(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	t.Parallel()
	store := lab.SharedVersitygw(t)
	for name, env := range map[string][]string{
		"by default":          {"OTEL_SERVICE_NAME=s3proxy", "OTEL_TRACES_SAMPLER=always_on"},
		"disabled":            {"OTEL_SDK_DISABLED=true"},
		"without an exporter": {"OTEL_TRACES_EXPORTER=none"},
		"an unknown exporter": {"OTEL_TRACES_EXPORTER=zipkin"},
		"what is no endpoint": {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=user:secret@collector"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Bool
			collector := listen(t, func(conn net.Conn) { asked.Store(true); conn.Close() })
			through := record(t, store)
			if name != "by default" {
				env = append(env, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+collector)
			}
			p := lab.Proxy(t, lab.ProxyOptions{Upstream: store, UpstreamURL: through.URL, Env: append(env, "OTEL_BSP_SCHEDULE_DELAY=10")})
			bucket := s3test.NewBucket(t, p.S3())
			a := s3test.Call{Method: "GET", Path: "/" + bucket + "/none", Headers: map[string]string{"traceparent": "00-" + clientTrace + "-" + clientSpan + "-01"}}.Do(t, p.S3())
			if a.Status != http.StatusNotFound {
				t.Error(a)
			}
			p.Term()
			if code, ok := p.Wait(lab.AnswerWithin); !ok || code != 0 {
				t.Errorf("exit code %d (ended: %v)", code, ok)
			}
			if asked.Load() || len(through.of("Traceparent")) > 0 || strings.Contains(p.Log(), "trace_id") {
				t.Errorf("something is traced: the collector was asked (%v), the store got %s\n%s", asked.Load(), through.of("Traceparent"), p.Log())
			}
			if warned := strings.Contains(p.Log(), "no traces are sent"); warned != (name == "an unknown exporter" || name == "what is no endpoint") || strings.Contains(p.Log(), "secret@") {
				t.Errorf("it says:\n%s", p.Log())
			}
		})
	}
}

// listen returns the address of a listener that calls serve for each connection.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return l.Addr().String()
}

func TestACollectorThatIsAwayCostsNoRequest(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	t.Parallel()
	store := lab.SharedVersitygw(t)
	deaf := listen(t, func(conn net.Conn) { io.Copy(io.Discard, conn) })
	for name, env := range map[string][]string{
		"there is none":        {"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + lab.FreeAddress(t)},
		"it never answers":     {"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + deaf},
		"nor over gRPC":        {"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + deaf, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"},
		"its name is unknown":  {"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector.invalid:4318"},
		"its certificate is":   {"OTEL_EXPORTER_OTLP_ENDPOINT=https://" + deaf, "OTEL_EXPORTER_OTLP_CERTIFICATE=/does/not/exist"},
		"its token is garbled": {"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + deaf, "OTEL_EXPORTER_OTLP_HEADERS=authorization=a-token%ZZ,a-secret"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Env: append(env, "OTEL_BSP_SCHEDULE_DELAY=50")})
			bucket := s3test.NewBucket(t, p.S3())
			for n := range 50 {
				s3test.RoundTrip(t, p.S3(), bucket, n*100)
			}
			p.Term()
			if code, ok := p.Wait(lab.AnswerWithin); !ok || code != 0 {
				t.Errorf("exit code %d (ended: %v)\n%s", code, ok, p.Log())
			}
			if n := strings.Count(p.Log(), "spans are lost"); n > 2 {
				t.Errorf("%d lines about it:\n%s", n, p.Log())
			}
			if strings.Contains(p.Log(), "a-token") || strings.Contains(p.Log(), "a-secret") {
				t.Errorf("a secret is in the log:\n%s", p.Log())
			}
		})
	}
}

func TestTheLastSpansAreSentWhenAProxyEnds(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	t.Parallel()
	collector := lab.NewCollector(t)
	p := lab.Proxy(t, lab.ProxyOptions{Env: []string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=" + collector.HTTP + "/v1/traces", "OTEL_BSP_SCHEDULE_DELAY=600000"}})
	bucket := s3test.NewBucket(t, p.S3())
	s3test.RoundTrip(t, p.S3(), bucket, 1000)
	if spans := collector.Spans(t); len(spans) > 0 {
		t.Fatalf("it did not wait: %+v", spans)
	}
	p.Term()
	if code, ok := p.Wait(lab.AnswerWithin); !ok || code != 0 {
		t.Errorf("exit code %d (ended: %v)", code, ok)
	}
	get := collector.AwaitSpan(t, "GetObject", func(s lab.Span) bool { return s.Name == "S3.GetObject" && s.Service == "s3proxy" })
	if stored := childOf(t, collector, get, "GET"); stored.Attributes["server.address"] != "embedded" {
		t.Errorf("%+v", stored)
	}
}

func TestTimesHaveATraceAsExemplarInOpenMetrics(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	t.Parallel()
	address := lab.FreeAddress(t)
	for name, traced := range map[string]bool{"traced": true, "not traced": false} {
		env := []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + lab.FreeAddress(t)}
		if !traced {
			env = append(env, "OTEL_TRACES_SAMPLER=always_off")
		}
		p := lab.Proxy(t, lab.ProxyOptions{Upstream: lab.SharedVersitygw(t), Args: []string{"--metrics-listen", address, "--log-format", "json"}, Env: env})
		bucket := s3test.NewBucket(t, p.S3())
		a := s3test.Call{Method: "PUT", Path: "/" + bucket + "/key", Body: []byte("body")}.Do(t, p.S3())
		id := lineOf(t, p, a.Header.Get("X-Amz-Request-Id")).TraceID
		text := openMetrics(t, address)
		for _, metric := range []string{
			`s3proxy_request_duration_seconds_bucket{operation="PutObject"`, `s3proxy_time_to_first_byte_seconds_bucket{operation="PutObject"`,
			`s3proxy_upstream_request_duration_seconds_bucket{method="PUT"`, `s3proxy_kms_call_duration_seconds_bucket{operation="wrap"`,
		} {
			line := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(metric) + `[^#\n]*# \{trace_id="` + id + `"\} `)
			if id == "" || line.MatchString(text) != traced {
				t.Errorf("%s: %s with the trace %q in\n%s", name, metric, id, text)
			}
		}
		p.Term()
		p.Wait(lab.AnswerWithin)
	}
}

// openMetrics requests metrics like a Prometheus that keeps exemplars.
func openMetrics(t *testing.T, address string) string {
	t.Helper()
	ask, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	ask.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	resp, err := http.DefaultClient.Do(ask)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || !strings.HasSuffix(string(text), "# EOF\n") {
		t.Fatalf("%v, %s", err, text)
	}
	return string(text)
}
