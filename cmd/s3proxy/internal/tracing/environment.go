package tracing

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Ways to send spans: values of OTEL_EXPORTER_OTLP_PROTOCOL.
const (
	overGRPC = "grpc"
	overHTTP = "http/protobuf"
	asJSON   = "http/json"
)

// settings are those of https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
// and https://opentelemetry.io/docs/specs/otel/protocol/exporter/ that the SDK leaves to programs.
type settings struct {
	on       bool
	protocol string
	w3c      bool     // take a client's context, and pass it on to the store
	ignored  []string // what is not understood and is not needed
}

// fromEnvironment reads them. An error means that nothing can be sent. The values of endpoints are
// not in it: they may hold a password.
func fromEnvironment(get func(string) string) (s settings, err error) {
	const endpoint, ofTraces = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	has := func(name string) string { return strings.TrimSpace(get(name)) }
	if strings.EqualFold(has("OTEL_SDK_DISABLED"), "true") {
		return s, nil
	}
	switch exporter := has("OTEL_TRACES_EXPORTER"); exporter {
	case "none":
		return s, nil
	case "":
		if has(endpoint) == "" && has(ofTraces) == "" {
			return s, nil
		}
	case "otlp":
	default:
		return s, fmt.Errorf("OTEL_TRACES_EXPORTER is %q: s3proxy has otlp and none", exporter)
	}
	for _, name := range []string{endpoint, ofTraces} {
		if value := has(name); value != "" && !isEndpoint(value) {
			return s, fmt.Errorf("%s is no URL such as http://collector:4318", name)
		}
	}
	s.protocol = cmp.Or(has("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), has("OTEL_EXPORTER_OTLP_PROTOCOL"), overHTTP)
	if !slices.Contains([]string{overGRPC, overHTTP, asJSON}, s.protocol) {
		return s, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q: s3proxy has %s, %s and %s", s.protocol, overGRPC, overHTTP, asJSON)
	}
	s.on = true
	for name := range strings.SplitSeq(cmp.Or(has("OTEL_PROPAGATORS"), "tracecontext"), ",") {
		switch name = strings.TrimSpace(name); name {
		case "tracecontext":
			s.w3c = true
		case "baggage", "none": // baggage is never passed on: it may hold anything
		default:
			s.ignored = append(s.ignored, fmt.Sprintf("OTEL_PROPAGATORS has %q: s3proxy has tracecontext alone", name))
		}
	}
	return s, nil
}

// isEndpoint tells what both exporters take. Of what is no URL the SDK would say so, value and
// all, and then send to its default.
func isEndpoint(value string) bool {
	u, err := url.Parse(value)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}
