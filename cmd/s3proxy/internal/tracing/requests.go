package tracing

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/s3proxy/s3proxy/proxy"
)

// Handler gives a handler that serves each request in a span, which is a child of the client's if
// the request names one (W3C Trace Context).
func (t *Tracing) Handler(next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := t.context.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := t.tracer.Start(ctx, "S3", trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(asked(r)...))
		defer func() { span.End() }() // called by the function that is deferred, End would take a panic for an exception
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// methods are those that the conventions let stand for themselves.
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPatch, http.MethodTrace, http.MethodConnect,
}

// asked is what is known of a request before it is served, for samplers too.
func asked(r *http.Request) attributes {
	var a attributes
	if slices.Contains(methods, r.Method) {
		a.add(semconv.HTTPRequestMethodKey, r.Method)
	} else {
		a.add(semconv.HTTPRequestMethodKey, "_OTHER")
		a.add(semconv.HTTPRequestMethodOriginalKey, r.Method)
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	a.add(semconv.URLSchemeKey, scheme)
	a.add(semconv.URLPathKey, r.URL.EscapedPath())
	a.add(semconv.URLQueryKey, proxy.ShownQuery(r.URL))
	a.address(semconv.ServerAddressKey, semconv.ServerPortKey, r.Host)
	a.address(semconv.ClientAddressKey, semconv.ClientPortKey, r.RemoteAddr)
	a.address(semconv.NetworkPeerAddressKey, semconv.NetworkPeerPortKey, r.RemoteAddr)
	a.add(semconv.NetworkProtocolVersionKey, protocol(r.ProtoMajor, r.ProtoMinor))
	a.add(semconv.UserAgentOriginalKey, r.UserAgent())
	return a
}

// Observe adds what is known of a request that was answered to its span. It is what
// proxy.Config.Observe asks for.
func (t *Tracing) Observe(ctx context.Context, s proxy.Served) {
	span := trace.SpanFromContext(ctx)
	if t == nil || !span.IsRecording() {
		return
	}
	span.SetName("S3." + cmp.Or(s.Operation, "unknown"))
	var a attributes
	a.number(semconv.HTTPResponseStatusCodeKey, s.Status)
	a = append(a, semconv.HTTPRequestBodySize(int(s.Received)), semconv.HTTPResponseBodySize(int(s.Sent)))
	a.add(semconv.AWSS3BucketKey, s.Bucket)
	a.add(semconv.AWSS3KeyKey, s.Key)
	a.add(semconv.AWSRequestIDKey, s.ID)
	a.add(semconv.EnduserIDKey, s.Client)
	a.add(kekKey, s.KEK)
	a.add(codeKey, s.Code)
	a.add(integrityKey, s.Integrity)
	if s.Plaintext {
		a = append(a, plaintextKey.Bool(true))
	}
	if s.Legacy {
		a = append(a, legacyKey.Bool(true))
	}
	span.SetAttributes(a...)
	// What is a client's mistake is no error of a server's span. An answer that had begun was cut.
	if s.Err != nil && (s.Status >= http.StatusInternalServerError || s.Status < http.StatusMultipleChoices) {
		failed(span, s.Code, s.Err.Error())
	}
}
