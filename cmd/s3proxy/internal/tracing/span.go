package tracing

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// schemaURL names the version of the conventions.
const schemaURL = semconv.SchemaURL

// Attributes that no convention has.
const (
	kekKey       = attribute.Key("s3proxy.kek")
	codeKey      = attribute.Key("s3proxy.error_code")
	integrityKey = attribute.Key("s3proxy.integrity")
	plaintextKey = attribute.Key("s3proxy.plaintext")
	legacyKey    = attribute.Key("s3proxy.legacy")
)

// maxText bounds, in bytes, what a client or a store says, so that a full queue of spans takes
// some MiB at most. An object's key has 1024 bytes.
const maxText = 1200

func ofService(version string) []attribute.KeyValue {
	return []attribute.KeyValue{semconv.ServiceName("s3proxy"), semconv.ServiceVersion(version)}
}

// text is s as an attribute may have it. One that is no UTF-8 would take all spans down that are
// sent with it.
func text(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// attributes are those of a span; what is empty is left out.
type attributes []attribute.KeyValue

func (a *attributes) add(key attribute.Key, value string) {
	if value != "" {
		*a = append(*a, key.String(text(value)))
	}
}

func (a *attributes) number(key attribute.Key, value int) {
	if value > 0 {
		*a = append(*a, key.Int(value))
	}
}

// address adds host and port of an address, which may lack the port.
func (a *attributes) address(host, port attribute.Key, address string) {
	name, number, err := net.SplitHostPort(address)
	if err != nil {
		name = strings.Trim(address, "[]")
	}
	a.add(host, name)
	n, _ := strconv.Atoi(number)
	a.number(port, n)
}

// protocol is the version of HTTP as the conventions have it: 1.1 or 2.
func protocol(major, minor int) string {
	if major > 1 {
		return strconv.Itoa(major)
	}
	return strconv.Itoa(major) + "." + strconv.Itoa(minor)
}

// failed marks a span. kind is one of few words.
func failed(span trace.Span, kind, description string) {
	span.SetStatus(codes.Error, text(description))
	span.SetAttributes(semconv.ErrorTypeKey.String(text(kind)))
}

// kind is the error.type of an error on the way to an answer.
func kind(err error) string {
	switch {
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	}
	return "no_answer"
}

// isTraced tells whether a request is behind ctx. What the proxy does of its own accord makes no
// trace.
func isTraced(ctx context.Context) bool { return trace.SpanContextFromContext(ctx).IsValid() }
