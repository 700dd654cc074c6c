// Command otlp is the OpenTelemetry collector's receiver of OTLP, over gRPC and over HTTP, for
// tests. It prints what it gets as OTLP's own JSON, one line for each request, and ends by SIGTERM.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	metrics "go.opentelemetry.io/otel/metric/noop"
	traces "go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"
)

func main() {
	grpc := flag.String("grpc", "127.0.0.1:4317", "address for OTLP over gRPC")
	http := flag.String("http", "127.0.0.1:4318", "address for OTLP over HTTP")
	flag.Parse()
	if err := run(*grpc, *http); err != nil {
		fmt.Fprintln(os.Stderr, "otlp:", err)
		os.Exit(1)
	}
}

func run(grpc, http string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig()
	err := confmap.NewFromStringMap(map[string]any{"protocols": map[string]any{
		"grpc": map[string]any{"endpoint": grpc}, "http": map[string]any{"endpoint": http},
	}}).Unmarshal(config)
	if err != nil {
		return err
	}
	print, err := consumer.NewTraces((&printer{}).print)
	if err != nil {
		return err
	}
	running, err := factory.CreateTraces(ctx, receiver.Settings{
		ID: component.NewID(factory.Type()),
		TelemetrySettings: component.TelemetrySettings{
			Logger: zap.NewNop(), TracerProvider: traces.NewTracerProvider(), MeterProvider: metrics.NewMeterProvider(),
		},
	}, config, print)
	if err != nil {
		return err
	}
	if err := running.Start(ctx, host{}); err != nil {
		return err
	}
	<-ctx.Done()
	return running.Shutdown(context.Background())
}

// printer prints one request at a time.
type printer struct{ mu sync.Mutex }

func (p *printer) print(_ context.Context, got ptrace.Traces) error {
	line, err := (&ptrace.JSONMarshaler{}).MarshalTraces(got)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err = fmt.Printf("%s\n", line)
	return err
}

// host is a collector without extensions.
type host struct{}

func (host) GetExtensions() map[component.ID]component.Component { return nil }
