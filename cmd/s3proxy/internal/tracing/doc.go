// Package tracing records what a running proxy does with a request as spans, and sends them to an
// OpenTelemetry collector, by the semantic conventions of the version that span.go imports.
//
//   - environment.go: the OTEL_* variables that this package reads; the SDK reads the others.
//   - tracing.go: start and end of it, and what the SDK has to say.
//   - requests.go: the span of a request: an http.Handler, and proxy.Config.Observe.
//   - store.go, keys.go: its children: requests to the store, and calls of the KMS.
//   - log.go: the ids of trace and span, for lines of the log and exemplars.
//   - span.go: what all spans share.
//
// Each thing is wrapped from outside: the packages that do the work know nothing of traces. What
// no request asks for (polls of the KMS, sweeps, health) has no span. Off, nothing is wrapped.
package tracing
