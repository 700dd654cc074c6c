package metrics

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/s3proxy/s3proxy/proxy"
)

// Metrics is safe for concurrent use.
type Metrics struct {
	// TraceID, if not nil, gives the id of the trace that something is part of, or "". Times
	// are kept with it, as exemplars. It is set before anything is counted.
	TraceID func(context.Context) string

	registry *prometheus.Registry
	buckets  *names

	requests            *prometheus.CounterVec
	duration, firstByte *prometheus.HistogramVec
	received, sent      *prometheus.CounterVec
	inFlight            prometheus.Gauge
	connections         prometheus.Gauge
	throttled           *prometheus.CounterVec
	refused, integrity  *prometheus.CounterVec
	plaintext, legacy   prometheus.Counter

	upstream         *prometheus.CounterVec
	upstreamDuration *prometheus.HistogramVec
	kms              *prometheus.CounterVec
	kmsDuration      *prometheus.HistogramVec
	upkeep           upkeep
	tunnels          tunnels
}

// Build is what this program was made of.
type Build struct{ Version, Commit, Go string }

// seconds are the classic buckets, for servers that keep no native histograms: from a small
// object of a store near by to the end of a large one.
var seconds = []float64{.002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}

// New makes the metrics of one process. maxBuckets bounds the values of the label bucket:
// those that come later are counted as "other", and with 0 all are.
func New(b Build, maxBuckets int) *Metrics {
	registry := prometheus.NewRegistry()
	with := promauto.With(registry)
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return with.NewCounterVec(prometheus.CounterOpts{Namespace: "s3proxy", Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return with.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "s3proxy", Name: name, Help: help, Buckets: seconds,
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160,
		}, labels)
	}
	m := &Metrics{
		registry: registry, buckets: newNames(maxBuckets),
		requests:    counter("requests_total", "Requests that were answered, by S3 operation, class of the status, and bucket.", "operation", "code", "bucket"),
		duration:    histogram("request_duration_seconds", "Time from a request's headers to the last byte of its answer.", "operation"),
		firstByte:   histogram("time_to_first_byte_seconds", "Time from a request's headers to the status of its answer.", "operation"),
		received:    counter("request_bytes_total", "Bytes of clients' bodies, as they were sent.", "bucket"),
		sent:        counter("response_bytes_total", "Bytes of the bodies of answers to clients.", "bucket"),
		inFlight:    with.NewGauge(prometheus.GaugeOpts{Namespace: "s3proxy", Name: "requests_in_flight", Help: "Requests that are being answered."}),
		connections: with.NewGauge(prometheus.GaugeOpts{Namespace: "s3proxy", Name: "connections", Help: "Connections of clients."}),
		throttled:   counter("throttled_requests_total", "Requests that were refused with SlowDown, by the limit that they were over.", "limit"),
		refused:     counter("signatures_refused_total", "Requests whose signature was refused, by S3 error code.", "cause"),
		integrity:   counter("integrity_failures_total", "Objects in the store that are not what was written, by what is wrong. Any is a reason to look.", "kind"),
		legacy:      with.NewCounter(prometheus.CounterOpts{Namespace: "s3proxy", Name: "legacy_reads_total", Help: "Objects of the older s3proxy that were served: decrypted, and not authenticated."}),
		plaintext:   with.NewCounter(prometheus.CounterOpts{Namespace: "s3proxy", Name: "plaintext_reads_total", Help: "Objects that were served without having been decrypted, since settings allow it."}),

		upstream:         counter("upstream_requests_total", "Requests to stores, by class of the status; error: no answer, canceled: nobody waited for one, or the client's body broke off.", "method", "code"),
		upstreamDuration: histogram("upstream_request_duration_seconds", "Time until a store's headers had come, with the sending of the body.", "method"),
		kms:              counter("kms_calls_total", "Calls of a KMS, by result.", "operation", "result"),
		kmsDuration:      histogram("kms_call_duration_seconds", "Time of a call of a KMS.", "operation"),
		upkeep:           newUpkeep(with),
		tunnels:          newTunnels(with),
	}
	with.NewGauge(prometheus.GaugeOpts{
		Namespace: "s3proxy", Name: "build_info", Help: "1; the labels tell what this program was made of.",
		ConstLabels: prometheus.Labels{"version": b.Version, "commit": b.Commit, "goversion": b.Go},
	}).Set(1)
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, kind := range proxy.IntegrityKinds() { // 0 is an answer: an alert sees the first of them
		m.integrity.WithLabelValues(kind)
	}
	return m
}

// took adds a time to a histogram.
func (m *Metrics) took(ctx context.Context, h *prometheus.HistogramVec, label string, seconds float64) {
	o := h.WithLabelValues(label)
	if m.TraceID != nil {
		if id := m.TraceID(ctx); id != "" {
			o.(prometheus.ExemplarObserver).ObserveWithExemplar(seconds, prometheus.Labels{"trace_id": id})
			return
		}
	}
	o.Observe(seconds)
}

// Gather implements prometheus.Gatherer.
func (m *Metrics) Gather() ([]*dto.MetricFamily, error) { return m.registry.Gather() }

// Handler serves all metrics, in the format that the scraper asks for.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}
