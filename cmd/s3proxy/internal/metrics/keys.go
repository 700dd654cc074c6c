package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/s3proxy/s3proxy/kms"
)

// Keys makes the metrics of the keys that keyrings hold; held counts them now.
func (m *Metrics) Keys(held func() []kms.Held) { m.registry.MustRegister(keys(held)) }

type keys func() []kms.Held

var (
	windows = prometheus.NewDesc("s3proxy_windows", "Window keys that new objects get, by the key that wrapped them.", []string{"kek"}, nil)
	cached  = prometheus.NewDesc("s3proxy_cached_window_keys", "Window keys that objects are read with, in memory.", nil, nil)
)

// Describe implements prometheus.Collector.
func (keys) Describe(to chan<- *prometheus.Desc) { to <- windows; to <- cached }

// Collect implements prometheus.Collector.
func (k keys) Collect(to chan<- prometheus.Metric) {
	byKEK, kept := map[string]int{}, 0
	for _, h := range k() {
		for kek, n := range h.Windows {
			byKEK[kek] += n
		}
		kept += h.Cached
	}
	for kek, n := range byKEK {
		to <- prometheus.MustNewConstMetric(windows, prometheus.GaugeValue, float64(n), kek)
	}
	to <- prometheus.MustNewConstMetric(cached, prometheus.GaugeValue, float64(kept))
}
