package tracing

import (
	"context"
	"strings"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/s3proxy/s3proxy/kms"
)

// Key gives a key whose calls are spans of the requests that they are for. Requests that wait for
// the same call have it in the trace of the first.
func (t *Tracing) Key(k kms.Key) kms.Key {
	if t == nil {
		return k
	}
	return traced{k, t}
}

type traced struct {
	kms.Key
	t *Tracing
}

func (k traced) Wrap(ctx context.Context, plaintext []byte, to kms.Context) (w kms.Wrapped, err error) {
	ctx, span := k.start(ctx, "wrap", to)
	defer func() { end(span, w.KEK, err) }()
	return k.Key.Wrap(ctx, plaintext, to)
}

func (k traced) Unwrap(ctx context.Context, w kms.Wrapped, of kms.Context) (plaintext []byte, err error) {
	ctx, span := k.start(ctx, "unwrap", of)
	defer func() { end(span, w.KEK, err) }()
	return k.Key.Unwrap(ctx, w, of)
}

func (k traced) Current(ctx context.Context) (kek string, err error) {
	ctx, span := k.start(ctx, "current", nil)
	defer func() { end(span, kek, err) }()
	return k.Key.Current(ctx)
}

// local is the scheme of keys in a file, which no other service is asked for.
const local = "localfile"

// start begins the span of a call.
func (k traced) start(ctx context.Context, operation string, c kms.Context) (context.Context, trace.Span) {
	if !isTraced(ctx) {
		return ctx, trace.SpanFromContext(context.Background()) // one that records nothing
	}
	scheme, _, _ := strings.Cut(k.URI(), ":")
	var a attributes
	a.add(semconv.AWSS3BucketKey, c["bucket"])
	a.add(kekKey, k.URI()) // until the version is known
	of := trace.SpanKindInternal
	if scheme != local {
		of = trace.SpanKindClient
		a.add(semconv.RPCSystemNameKey, scheme)
		a.add(semconv.RPCMethodKey, operation)
		a.add(semconv.ServicePeerNameKey, scheme)
	}
	return k.t.tracer.Start(ctx, "kms "+operation, trace.WithSpanKind(of), trace.WithAttributes(a...))
}

func end(span trace.Span, kek string, err error) {
	if !span.IsRecording() {
		return
	}
	if kek != "" {
		span.SetAttributes(kekKey.String(text(kek)))
	}
	if err != nil {
		failed(span, kms.Class(err), err.Error())
	}
	span.End()
}
