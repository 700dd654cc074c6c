package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Tracing is safe for concurrent use. nil is for traces that are off: it wraps nothing.
type Tracing struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	context  propagation.TextMapPropagator
}

// closeTimeout bounds the sending of the last spans when the process ends.
const closeTimeout = 5 * time.Second

// Start begins to send spans if the environment says where to. It gives nil if it does not, and
// if what it says cannot be used: a proxy serves without traces, too. No collector is contacted
// before there are spans.
func Start(ctx context.Context, version string, log *slog.Logger) *Tracing {
	set, err := fromEnvironment(os.Getenv)
	if err != nil {
		log.Warn("no traces are sent", "error", err)
	}
	if !set.on {
		return nil
	}
	for _, text := range set.ignored {
		log.Warn("a setting of traces is ignored", "error", text)
	}
	complaints := &complaints{log: log}
	otel.SetErrorHandler(complaints)
	otel.SetLogger(logr.New(complaints))
	exporter, err := newExporter(ctx, set.protocol)
	if err != nil {
		log.Warn("no traces are sent", "error", err)
		return nil
	}
	return newTracing(exporter, set, version)
}

func newExporter(ctx context.Context, protocol string) (*otlptrace.Exporter, error) {
	if protocol == overGRPC {
		return otlptracegrpc.New(ctx)
	}
	return otlptracehttp.New(ctx)
}

// newTracing makes a Tracing whose spans wait in a bounded queue: what has no room there is lost.
// The SDK reads OTEL_BSP_*, OTEL_TRACES_SAMPLER and the limits of spans.
func newTracing(exporter sdk.SpanExporter, set settings, version string) *Tracing {
	t := &Tracing{
		provider: sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(describe(version))),
		context:  propagation.NewCompositeTextMapPropagator(),
	}
	if set.w3c {
		t.context = propagation.TraceContext{}
	}
	t.tracer = t.provider.Tracer("github.com/s3proxy/s3proxy", trace.WithInstrumentationVersion(version), trace.WithSchemaURL(schemaURL))
	return t
}

// describe tells which process the spans are of. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES
// have the last word. The command's arguments are left out.
func describe(version string) *resource.Resource {
	// What cannot be found out is missing, and no more.
	found, _ := resource.New(context.Background(),
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithService(), resource.WithProcessPID(),
		resource.WithAttributes(ofService(version)...), resource.WithFromEnv())
	return found
}

// Close sends what is left, for a few seconds at most.
func (t *Tracing) Close(log *slog.Logger) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		log.Warn("the last spans could not be sent", "error", err)
	}
}

// complaintsEvery is the shortest time between two lines about failures: while the collector is
// away there is one every few seconds.
const complaintsEvery = time.Minute

// complaints logs what the SDK finds wrong, but none of the values that it adds: they may be
// those of OTEL_EXPORTER_OTLP_HEADERS.
type complaints struct {
	log  *slog.Logger
	mu   sync.Mutex
	last time.Time
}

// Handle implements otel.ErrorHandler, for what fails while the process runs.
func (c *complaints) Handle(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.last) >= complaintsEvery {
		c.last = now
		c.log.Warn("spans are lost", "error", err)
	}
}

// Init implements logr.LogSink.
func (*complaints) Init(logr.RuntimeInfo) {}

// Enabled implements logr.LogSink. The SDK's warnings are of level 1, the rest is above.
func (*complaints) Enabled(level int) bool { return level <= 1 }

// Info implements logr.LogSink.
func (c *complaints) Info(_ int, text string, _ ...any) { c.log.Warn("traces: " + text) }

// Error implements logr.LogSink.
func (c *complaints) Error(err error, text string, _ ...any) {
	c.log.Warn("traces: a setting is ignored", "error", fmt.Errorf("%s: %w", text, err))
}

// WithValues implements logr.LogSink.
func (c *complaints) WithValues(...any) logr.LogSink { return c }

// WithName implements logr.LogSink.
func (c *complaints) WithName(string) logr.LogSink { return c }
