package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy"
)

// Memory makes the metrics of what the process keeps in memory: held counts the keys of its
// keyrings now, caches tells of its other caches.
func (m *Metrics) Memory(held func() []kms.Held, caches func() []proxy.CacheUse) {
	m.registry.MustRegister(memory{held, caches})
}

type memory struct {
	held   func() []kms.Held
	caches func() []proxy.CacheUse
}

// windowKeys is the cache of the window keys that objects are read with.
const windowKeys = "window_keys"

var (
	windows   = prometheus.NewDesc("s3proxy_windows", "Window keys that new objects get, by the key that wrapped them.", []string{"kek"}, nil)
	nextEnd   = prometheus.NewDesc("s3proxy_windows_next_end_timestamp_seconds", "When the first of the window keys that new objects get ends, in Unix time; the next object of its bucket needs the KMS. Absent without any.", nil, nil)
	entries   = prometheus.NewDesc("s3proxy_cache_entries", "Entries of a cache in memory; window_keys: window keys that objects are read with.", []string{"cache"}, nil)
	cacheLook = prometheus.NewDesc("s3proxy_cache_lookups_total", "Look-ups in a cache, by result: hit or miss.", []string{"cache", "result"}, nil)
)

// Describe implements prometheus.Collector.
func (memory) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{windows, nextEnd, entries, cacheLook} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (k memory) Collect(to chan<- prometheus.Metric) {
	byKEK, first, keys := map[string]int{}, time.Time{}, proxy.CacheUse{Name: windowKeys}
	for _, h := range k.held() {
		for kek, n := range h.Windows {
			byKEK[kek] += n
		}
		if first.IsZero() || !h.NextEnd.IsZero() && h.NextEnd.Before(first) {
			first = h.NextEnd
		}
		keys.Entries += h.Cached
		keys.Hits += h.Hits
		keys.Misses += h.Misses
	}
	for kek, n := range byKEK {
		to <- prometheus.MustNewConstMetric(windows, prometheus.GaugeValue, float64(n), kek)
	}
	if !first.IsZero() {
		to <- prometheus.MustNewConstMetric(nextEnd, prometheus.GaugeValue, unix(first))
	}
	for _, c := range append(k.caches(), keys) {
		to <- prometheus.MustNewConstMetric(entries, prometheus.GaugeValue, float64(c.Entries), c.Name)
		to <- prometheus.MustNewConstMetric(cacheLook, prometheus.CounterValue, float64(c.Hits), c.Name, "hit")
		to <- prometheus.MustNewConstMetric(cacheLook, prometheus.CounterValue, float64(c.Misses), c.Name, "miss")
	}
}

// unix is a time as Prometheus has them, in seconds.
func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
