package tracing

import (
	"strings"
	"testing"
)

func TestTheEnvironmentSaysWhetherTracesAreSentAndHow(t *testing.T) {
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318"
	for _, c := range []struct {
		env      string // of NAME=value, with blanks between
		protocol string // "" for off
		w3c      bool
		ignored  int
		err      string
	}{
		{"", "", false, 0, ""},
		{"OTEL_SERVICE_NAME=x OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "", false, 0, ""},
		{endpoint, overHTTP, true, 0, ""},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://collector", overHTTP, true, 0, ""},
		{"OTEL_TRACES_EXPORTER=otlp", overHTTP, true, 0, ""},
		{"OTEL_TRACES_EXPORTER=none " + endpoint, "", false, 0, ""},
		{"OTEL_TRACES_EXPORTER=console " + endpoint, "", false, 0, "OTEL_TRACES_EXPORTER"},
		{"OTEL_SDK_DISABLED=TRUE " + endpoint, "", false, 0, ""},
		{"OTEL_SDK_DISABLED=false " + endpoint, overHTTP, true, 0, ""},
		{"OTEL_EXPORTER_OTLP_PROTOCOL=grpc " + endpoint, overGRPC, true, 0, ""},
		{"OTEL_EXPORTER_OTLP_PROTOCOL=grpc OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/json " + endpoint, asJSON, true, 0, ""},
		{"OTEL_EXPORTER_OTLP_PROTOCOL=thrift " + endpoint, "", false, 0, "thrift"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=collector:4317", "", false, 0, "OTEL_EXPORTER_OTLP_ENDPOINT"},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://me:secret%@collector", "", false, 0, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"},
		{"OTEL_PROPAGATORS=none " + endpoint, overHTTP, false, 0, ""},
		{"OTEL_PROPAGATORS=tracecontext,baggage " + endpoint, overHTTP, true, 0, ""},
		{"OTEL_PROPAGATORS=b3,tracecontext,xray " + endpoint, overHTTP, true, 2, ""},
	} {
		env := map[string]string{}
		for field := range strings.FieldsSeq(c.env) {
			name, value, _ := strings.Cut(field, "=")
			env[name] = value
		}
		got, err := fromEnvironment(func(name string) string { return env[name] })
		if (err == nil) != (c.err == "") || err != nil && (!strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%s: %v", c.env, err)
		}
		if err == nil && (got.on != (c.protocol != "") || got.protocol != c.protocol || got.w3c != c.w3c || len(got.ignored) != c.ignored) {
			t.Errorf("%s: %+v", c.env, got)
		}
		if err != nil && got.on {
			t.Errorf("%s: it is on", c.env)
		}
	}
}
