package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// Upstream counts an exchange with a store. It is what upstream.Config.Observe asks for.
func (m *Metrics) Upstream(ctx context.Context, e upstream.Exchange) {
	code := class(e.Status)
	if e.GivenUp {
		code = "canceled"
	}
	m.upstream.WithLabelValues(e.Method, code).Inc()
	m.took(ctx, m.upstreamDuration, e.Method, e.Took.Seconds())
}

// Key gives a key that counts its calls.
func (m *Metrics) Key(key kms.Key) kms.Key { return counted{key, m} }

type counted struct {
	kms.Key
	m *Metrics
}

func (c counted) Wrap(ctx context.Context, plaintext []byte, to kms.Context) (w kms.Wrapped, err error) {
	defer c.m.called(ctx, "wrap", time.Now(), &err)
	return c.Key.Wrap(ctx, plaintext, to)
}

func (c counted) Unwrap(ctx context.Context, w kms.Wrapped, of kms.Context) (plaintext []byte, err error) {
	defer c.m.called(ctx, "unwrap", time.Now(), &err)
	return c.Key.Unwrap(ctx, w, of)
}

func (c counted) Current(ctx context.Context) (kek string, err error) {
	defer c.m.called(ctx, "current", time.Now(), &err)
	return c.Key.Current(ctx)
}

func (c counted) Check(ctx context.Context) (err error) {
	defer c.m.called(ctx, "check", time.Now(), &err)
	return c.Key.Check(ctx)
}

func (m *Metrics) called(ctx context.Context, operation string, at time.Time, err *error) {
	m.kms.WithLabelValues(operation, kms.Class(*err)).Inc()
	m.took(ctx, m.kmsDuration, operation, time.Since(at).Seconds())
}

// Stores makes the metric of which stores answer, by their URLs; answers tells now.
func (m *Metrics) Stores(answers func() map[string]bool) { m.registry.MustRegister(stores(answers)) }

type stores func() map[string]bool

var upstreamUp = prometheus.NewDesc("s3proxy_upstream_up", "1 if a store answered when it was asked last, else 0.", []string{"store"}, nil)

// Describe implements prometheus.Collector.
func (stores) Describe(to chan<- *prometheus.Desc) { to <- upstreamUp }

// Collect implements prometheus.Collector.
func (s stores) Collect(to chan<- prometheus.Metric) {
	for store, answers := range s() {
		up := 0.0
		if answers {
			up = 1
		}
		to <- prometheus.MustNewConstMetric(upstreamUp, prometheus.GaugeValue, up, store)
	}
}
