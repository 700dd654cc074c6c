package tracing

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"

	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/s3proxy/s3proxy/proxy"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// Transport gives a way to a store on which each request is a span, until its answer has been
// read. It is what upstream.Config.Wrap asks for.
func (t *Tracing) Transport(next http.RoundTripper) http.RoundTripper {
	if t == nil {
		return next
	}
	return &transport{t, next}
}

type transport struct {
	t    *Tracing
	next http.RoundTripper
}

func (s *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !isTraced(r.Context()) {
		return s.next.RoundTrip(r)
	}
	ctx, span := s.t.tracer.Start(r.Context(), r.Method, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(sent(r)...))
	way := &way{before: upstream.Resends(r.Context())}
	r = r.Clone(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: way.got}))
	s.t.passOn(r)
	resp, err := s.next.RoundTrip(r)
	span.SetAttributes(way.attributes()...)
	if err != nil {
		failed(span, kind(err), err.Error())
		span.End()
		return resp, err
	}
	span.SetAttributes(answered(resp)...)
	if resp.StatusCode >= http.StatusBadRequest {
		failed(span, strconv.Itoa(resp.StatusCode), "")
	}
	if resp.Body == http.NoBody {
		span.End()
	} else {
		resp.Body = &body{resp.Body, span}
	}
	return resp, nil
}

// passOn adds the header that names the span. The store is not told more: tracestate and baggage
// are the client's, and may hold what is not for it.
func (t *Tracing) passOn(r *http.Request) {
	headers := propagation.MapCarrier{}
	t.context.Inject(r.Context(), headers)
	if parent := headers.Get("traceparent"); parent != "" {
		r.Header.Set("Traceparent", parent)
	}
}

// sent is what is known of a request before it is sent. Its signature is in the headers; of
// the query there are the values alone that logs show.
func sent(r *http.Request) (a attributes) {
	full := r.URL.Scheme + "://" + r.URL.Host + r.URL.EscapedPath()
	if q := proxy.ShownQuery(r.URL); q != "" {
		full += "?" + q
	}
	a.add(semconv.HTTPRequestMethodKey, r.Method)
	a.add(semconv.URLFullKey, full)
	a.address(semconv.ServerAddressKey, semconv.ServerPortKey, r.URL.Host)
	return a
}

func answered(resp *http.Response) (a attributes) {
	a.number(semconv.HTTPResponseStatusCodeKey, resp.StatusCode)
	a.add(semconv.NetworkProtocolVersionKey, protocol(resp.ProtoMajor, resp.ProtoMinor))
	a.add(semconv.AWSRequestIDKey, resp.Header.Get("X-Amz-Request-Id"))
	a.add(semconv.AWSExtendedRequestIDKey, resp.Header.Get("X-Amz-Id-2"))
	return a
}

// way is the connection that a request takes. net/http sends one that has no effect again, on
// another, if the store has closed the first meanwhile.
type way struct {
	before int // how often the client of the store has sent the request before
	tries  atomic.Int32
	peer   atomic.Pointer[string]
}

func (w *way) got(c httptrace.GotConnInfo) {
	w.tries.Add(1)
	if c.Conn.RemoteAddr().Network() == "tcp" {
		address := c.Conn.RemoteAddr().String()
		w.peer.Store(&address)
	}
}

func (w *way) attributes() (a attributes) {
	a.number(semconv.HTTPRequestResendCountKey, w.before+max(int(w.tries.Load())-1, 0))
	if peer := w.peer.Load(); peer != nil {
		a.address(semconv.NetworkPeerAddressKey, semconv.NetworkPeerPortKey, *peer)
	}
	return a
}

// body ends the span with the answer.
type body struct {
	io.ReadCloser
	span trace.Span
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		if !errors.Is(err, io.EOF) {
			failed(b.span, kind(err), err.Error())
		}
		b.span.End()
	}
	return n, err
}

func (b *body) Close() error {
	defer b.span.End()
	return b.ReadCloser.Close()
}
