package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/forward"
)

// tunnels are what CONNECT comes to.
type tunnels struct {
	results, bytes *prometheus.CounterVec
}

func newTunnels(with promauto.Factory) tunnels {
	t := tunnels{
		results: with.NewCounterVec(prometheus.CounterOpts{Namespace: "s3proxy", Name: "connects_total", Help: "CONNECTs of clients that have ended, by result. What went through an opened tunnel was not encrypted."}, []string{"result"}),
		bytes:   with.NewCounterVec(prometheus.CounterOpts{Namespace: "s3proxy", Name: "tunnel_bytes_total", Help: "Bytes through tunnels, which were not encrypted by s3proxy."}, []string{"direction"}),
	}
	for _, result := range forward.Results() {
		t.results.WithLabelValues(result)
	}
	for _, direction := range []string{"received", "sent"} {
		t.bytes.WithLabelValues(direction)
	}
	return t
}

// Connect counts a CONNECT that has ended.
func (m *Metrics) Connect(c forward.Connection) {
	m.tunnels.results.WithLabelValues(c.Result).Inc()
	m.tunnels.bytes.WithLabelValues("received").Add(float64(c.Received))
	m.tunnels.bytes.WithLabelValues("sent").Add(float64(c.Sent))
}

// Tunnels makes the metric of those that are open.
func (m *Metrics) Tunnels(open func() int) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "s3proxy", Name: "tunnels", Help: "Tunnels of CONNECT that are open.",
	}, func() float64 { return float64(open()) }))
}
