package tracing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy"
)

// kept is a Tracing whose spans stay here.
type kept struct {
	*Tracing
	exporter *tracetest.InMemoryExporter
}

func keep(t *testing.T) kept {
	exporter := tracetest.NewInMemoryExporter()
	k := kept{newTracing(exporter, settings{on: true, w3c: true}, "1"), exporter}
	t.Cleanup(func() { k.Close(slog.New(slog.DiscardHandler)) })
	return k
}

func (k kept) spans(t *testing.T) tracetest.SpanStubs {
	t.Helper()
	if err := k.provider.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return k.exporter.GetSpans()
}

// span gives the only one of a name.
func (k kept) span(t *testing.T, name string) tracetest.SpanStub {
	t.Helper()
	for _, s := range k.spans(t) {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no span is called %s: %+v", name, k.exporter.GetSpans())
	return tracetest.SpanStub{}
}

func of(s tracetest.SpanStub, name string) string {
	for _, kv := range s.Attributes {
		if kv.Key == attribute.Key(name) {
			return kv.Value.String()
		}
	}
	return ""
}

// serve has a request answered as s says.
func (k kept) serve(r *http.Request, s proxy.Served) {
	k.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { k.Observe(r.Context(), s) })).ServeHTTP(httptest.NewRecorder(), r)
}

func TestOnlyWhatTheServerHasDoneWrongIsAnError(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		s    proxy.Served
		want codes.Code
		kind string
	}{
		"done":             {proxy.Served{Status: 206}, codes.Unset, ""},
		"a missing object": {proxy.Served{Status: 404, Code: "NoSuchKey", Err: broken}, codes.Unset, ""},
		"a failure":        {proxy.Served{Status: 503, Code: "ServiceUnavailable", Err: broken}, codes.Error, "ServiceUnavailable"},
		"a cut answer":     {proxy.Served{Status: 200, Code: "InternalError", Integrity: "segment", Err: broken}, codes.Error, "InternalError"},
		"no answer":        {proxy.Served{Code: "InternalError", Err: broken}, codes.Error, "InternalError"},
	} {
		k := keep(t)
		c.s.Operation = "GetObject"
		k.serve(httptest.NewRequest(http.MethodGet, "/bucket/key", nil), c.s)
		s := k.span(t, "S3.GetObject")
		if s.Status.Code != c.want || of(s, "error.type") != c.kind || of(s, "s3proxy.error_code") != c.s.Code || of(s, "s3proxy.integrity") != c.s.Integrity {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestASpanEndsWhenTheConnectionIsCut(t *testing.T) {
	k := keep(t)
	func() {
		defer func() {
			if recover() != http.ErrAbortHandler {
				t.Error("the panic is lost")
			}
		}()
		k.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			k.Observe(r.Context(), proxy.Served{Operation: "GetObject", Status: 200})
			panic(http.ErrAbortHandler)
		})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}()
	if s := k.span(t, "S3.GetObject"); len(s.Events) > 0 {
		t.Errorf("%+v", s)
	}
}

// One string that is no UTF-8 would take all spans down that are sent with it.
func TestWhatClientsSayIsShortAndUTF8(t *testing.T) {
	k := keep(t)
	r := httptest.NewRequest("WHAT", "/bucket", nil)
	r.URL.Path, r.Host = "/\xff", "ho\xffst:80"
	r.Header.Set("User-Agent", strings.Repeat("a", maxText-1)+"é and more")
	r.Header.Set("Traceparent", "00-"+strings.Repeat("\xff", 32)+"-00f067aa0ba902b7-01")
	k.serve(r, proxy.Served{Operation: "unknown", Bucket: "\xff", Key: strings.Repeat("\xff", 5000)})
	s := k.span(t, "S3.unknown")
	for _, kv := range s.Attributes {
		if text := kv.Value.String(); !utf8.ValidString(text) || len(text) > 3*maxText {
			t.Errorf("%s is %q", kv.Key, text)
		}
	}
	if of(s, "http.request.method") != "_OTHER" || s.Parent.IsValid() {
		t.Errorf("%+v", s)
	}
}

func TestARequestThatNetHTTPSendsAgainSaysSo(t *testing.T) {
	k := keep(t)
	asked := 0
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked == 2 { // on the connection of the first
			panic(http.ErrAbortHandler)
		}
		if r.Header.Get("Traceparent") == "" || r.Header.Get("Tracestate") != "" {
			t.Errorf("%v", r.Header)
		}
		io.WriteString(w, "body")
	}))
	defer store.Close()
	client := &http.Client{Transport: k.Transport(&http.Transport{})}
	get := func(name string) tracetest.SpanStub {
		ctx, span := k.tracer.Start(t.Context(), name)
		defer span.End()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, store.URL+"/bucket?prefix=p&X-Amz-Signature=secret", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		spans := k.spans(t) // read to its end, the answer has ended the span
		resp.Body.Close()
		return spans[len(spans)-1]
	}
	first, second := get("first"), get("second")
	if of(first, "http.request.resend_count") != "" || of(second, "http.request.resend_count") != "1" || asked != 3 {
		t.Errorf("asked %d times: %+v, %+v", asked, first, second)
	}
	if full := of(second, "url.full"); full != store.URL+"/bucket?X-Amz-Signature=***&prefix=p" || second.Status.Code != codes.Unset {
		t.Errorf("%s, %+v", full, second)
	}
}

func TestAStoreThatFailsIsAnErrorOfItsSpan(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "some")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer cut.Close()
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	defer busy.Close()
	for address, want := range map[string]string{"http://" + l.Addr().String(): "no_answer", cut.URL: "no_answer", busy.URL: "503"} {
		k := keep(t)
		ctx, span := k.tracer.Start(t.Context(), "parent")
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := k.Transport(http.DefaultTransport).RoundTrip(req); err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		span.End()
		if s := k.span(t, http.MethodGet); s.Status.Code != codes.Error || of(s, "error.type") != want || s.Parent.SpanID() != span.SpanContext().SpanID() {
			t.Errorf("%s: %+v", address, s)
		}
	}
}

type vault struct {
	kms.Key
	err error
}

func (vault) URI() string { return "vault://transit/photos" }

func (v vault) Wrap(context.Context, []byte, kms.Context) (kms.Wrapped, error) {
	if v.err != nil {
		return kms.Wrapped{}, v.err
	}
	return kms.Wrapped{KEK: "vault://transit/photos#7"}, nil
}

func (v vault) Unwrap(context.Context, kms.Wrapped, kms.Context) ([]byte, error) {
	return []byte("the key in clear"), v.err
}

func (v vault) Current(context.Context) (string, error) { return "vault://transit/photos#7", v.err }

func TestCallsOfTheKMSAreSpansWithoutTheKey(t *testing.T) {
	for _, wrong := range []error{nil, fmt.Errorf("sealed: %w", kms.ErrUnavailable)} {
		k := keep(t)
		ctx, span := k.tracer.Start(t.Context(), "parent")
		key := k.Key(vault{err: wrong})
		key.Wrap(ctx, []byte("the key in clear"), kms.Context{"bucket": "photos"})
		key.Unwrap(ctx, kms.Wrapped{KEK: "vault://transit/photos#6"}, kms.Context{"bucket": "photos"})
		key.Current(ctx)
		span.End()
		versions := map[string]string{"kms wrap": "#7", "kms unwrap": "#6", "kms current": "#7"}
		if wrong != nil {
			versions["kms wrap"] = ""
		}
		for name, version := range versions {
			s := k.span(t, name)
			if of(s, "s3proxy.kek") != "vault://transit/photos"+version || of(s, "rpc.system.name") != "vault" || s.SpanKind != trace.SpanKindClient {
				t.Errorf("%+v", s)
			}
			if failed := s.Status.Code == codes.Error; failed != (wrong != nil) || failed && of(s, "error.type") != "unavailable" {
				t.Errorf("%+v", s)
			}
			if strings.Contains(fmt.Sprint(s.Attributes), "clear") {
				t.Error("a key is in a span")
			}
		}
	}
}

func TestWhatNoRequestAsksForHasNoSpan(t *testing.T) {
	k := keep(t)
	k.Key(vault{}).Current(t.Context())
	store := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Traceparent") != "" {
			t.Error("the store is told of a trace")
		}
	}))
	defer store.Close()
	if resp, err := (&http.Client{Transport: k.Transport(http.DefaultTransport)}).Get(store.URL); err != nil {
		t.Error(err)
	} else {
		resp.Body.Close()
	}
	if spans := k.spans(t); len(spans) > 0 {
		t.Errorf("%+v", spans)
	}
}

func TestLinesOfTheLogNameTraceAndSpan(t *testing.T) {
	k := keep(t)
	var text strings.Builder
	log := k.Logger(slog.New(slog.NewTextHandler(&text, nil))).With("more", 1)
	ctx, span := k.tracer.Start(t.Context(), "parent")
	defer span.End()
	log.InfoContext(ctx, "of a request")
	log.Info("of none")
	c := span.SpanContext()
	lines := strings.Split(text.String(), "\n")
	if want := fmt.Sprintf("more=1 trace_id=%s span_id=%s", c.TraceID(), c.SpanID()); !strings.HasSuffix(lines[0], want) || strings.Contains(lines[1], "trace_id") {
		t.Errorf("%s", &text)
	}
	if TraceID(ctx) != c.TraceID().String() || TraceID(t.Context()) != "" {
		t.Errorf("%s, %s", TraceID(ctx), TraceID(t.Context()))
	}
}

func TestOffNothingIsWrappedAndNothingAllocated(t *testing.T) {
	var off *Tracing
	mux, way, key, log := http.NewServeMux(), &http.Transport{}, vault{}, slog.New(slog.DiscardHandler)
	if off.Handler(mux) != http.Handler(mux) || off.Transport(way) != http.RoundTripper(way) || !reflect.DeepEqual(off.Key(key), kms.Key(key)) || off.Logger(log) != log {
		t.Error("something is wrapped")
	}
	ctx, served := t.Context(), proxy.Served{Operation: "GetObject", Status: 200, Bucket: "b", Key: "k"}
	if n := testing.AllocsPerRun(100, func() { off.Observe(ctx, served) }); n > 0 {
		t.Errorf("a request allocates %v times", n)
	}
	off.Close(log)
}

// deaf is a collector that takes a request and never answers.
type deaf struct{ asked chan struct{} }

func (d deaf) ExportSpans(ctx context.Context, _ []sdk.ReadOnlySpan) error {
	select {
	case d.asked <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return ctx.Err()
}

func (deaf) Shutdown(context.Context) error { return nil }

func TestSpansThatNobodyTakesAreLostAndTakeNoMemory(t *testing.T) {
	d := deaf{make(chan struct{}, 1)}
	k := kept{Tracing: newTracing(d, settings{on: true}, "1")}
	r := httptest.NewRequest(http.MethodGet, "/bucket/"+strings.Repeat("k", 2000), nil)
	served := proxy.Served{Operation: "GetObject", Status: 200, Key: strings.Repeat("k", 1024)}
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	for range 100_000 {
		k.serve(r, served)
	}
	select {
	case <-d.asked:
	case <-time.After(time.Minute):
		t.Error("the collector was not asked")
	}
	if grown := heap() - before; grown > 16<<20 {
		t.Errorf("100,000 spans take %d KiB", grown>>10)
	}
	began := time.Now()
	var log strings.Builder
	k.Close(slog.New(slog.NewTextHandler(&log, nil)))
	if took := time.Since(began); took > closeTimeout+5*time.Second || !strings.Contains(log.String(), "could not be sent") {
		t.Errorf("after %v: %s", took, &log)
	}
}

func TestFailuresAreToldOnceAMinuteAndSettingsWithoutTheirValues(t *testing.T) {
	var text strings.Builder
	c := &complaints{log: slog.New(slog.NewTextHandler(&text, nil))}
	for range 10 {
		c.Handle(errors.New("no collector"))
	}
	c.last = c.last.Add(-complaintsEvery)
	c.Handle(errors.New("no collector"))
	c.Error(errors.New("missing ="), "parse headers", "input", "a secret")
	c.Info(1, "exporter", "headers", "a secret")
	if n := strings.Count(text.String(), "no collector"); n != 2 || strings.Contains(text.String(), "secret") || !strings.Contains(text.String(), "parse headers: missing =") {
		t.Errorf("%s", &text)
	}
}
