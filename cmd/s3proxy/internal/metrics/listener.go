package metrics

import (
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
)

// Connection counts the connections of clients. It is what http.Server.ConnState asks for.
func (m *Metrics) Connection(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		m.connections.Inc()
	case http.StateClosed, http.StateHijacked:
		m.connections.Dec()
	}
}

// Limits names the limits that Throttled is told of: 0 is an answer.
func (m *Metrics) Limits(names ...string) {
	for _, name := range names {
		m.throttled.WithLabelValues(name)
	}
}

// Throttled counts a request that was over a limit.
func (m *Metrics) Throttled(limit string) { m.throttled.WithLabelValues(limit).Inc() }

// Certificate makes the metric of a listener that has a certificate; expires gives its end, as a
// Unix time in seconds.
func (m *Metrics) Certificate(expires func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "s3proxy", Name: "certificate_expiry_timestamp_seconds", Help: "When the certificate of listen ends, as a Unix time.",
	}, expires))
}
