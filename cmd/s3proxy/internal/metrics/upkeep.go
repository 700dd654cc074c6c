package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/s3proxy/s3proxy/proxy"
)

// upkeep is what a process does without being asked.
type upkeep struct {
	ready                  prometheus.Gauge
	reloaded, reloadWorked prometheus.Gauge
	sweeps, uploads        *prometheus.CounterVec
	swept                  prometheus.Gauge
}

func newUpkeep(with promauto.Factory) upkeep {
	gauge := func(name, help string) prometheus.Gauge {
		return with.NewGauge(prometheus.GaugeOpts{Namespace: "s3proxy", Name: name, Help: help})
	}
	counter := func(name, help string) *prometheus.CounterVec {
		return with.NewCounterVec(prometheus.CounterOpts{Namespace: "s3proxy", Name: name, Help: help}, []string{"result"})
	}
	u := upkeep{
		ready:        gauge("ready", "1 while /readyz says yes, else 0."),
		reloadWorked: gauge("credentials_last_reload_successful", "1 if the clients' credentials could be used when they were read last, else 0: then older ones are valid."),
		reloaded:     gauge("credentials_last_reload_success_timestamp_seconds", "When the clients' credentials were read and could be used last, in Unix time."),
		sweeps:       counter("sweeps_total", "Rounds in which the state of uploads that are gone was removed, by result: ok or failed."),
		uploads:      counter("swept_uploads_total", "Uploads that are gone, and buckets that could not be swept at all, by what became of their state: removed or failed."),
		swept:        gauge("last_successful_sweep_timestamp_seconds", "When a round of the sweep ended last in which nothing failed, in Unix time; 0: none did yet."),
	}
	for _, result := range []string{"ok", "failed"} { // 0 is an answer: an alert sees the first of them
		u.sweeps.WithLabelValues(result)
	}
	for _, result := range []string{"removed", "failed"} {
		u.uploads.WithLabelValues(result)
	}
	u.credentials(nil)
	return u
}

func (u *upkeep) credentials(err error) {
	if err != nil {
		u.reloadWorked.Set(0)
		return
	}
	u.reloadWorked.Set(1)
	u.reloaded.SetToCurrentTime()
}

// Credentials counts that the clients' credentials were read, and whether they could be used.
func (m *Metrics) Credentials(err error) { m.upkeep.credentials(err) }

// Ready says whether the proxy can serve.
func (m *Metrics) Ready(ready bool) {
	if ready {
		m.upkeep.ready.Set(1)
	} else {
		m.upkeep.ready.Set(0)
	}
}

// Swept counts a round of the sweep. It is what proxy.Config.ObserveSweep asks for.
func (m *Metrics) Swept(r proxy.SweepRound) {
	m.upkeep.uploads.WithLabelValues("removed").Add(float64(r.Removed))
	m.upkeep.uploads.WithLabelValues("failed").Add(float64(r.Failed))
	if r.Failed > 0 {
		m.upkeep.sweeps.WithLabelValues("failed").Inc()
		return
	}
	m.upkeep.sweeps.WithLabelValues("ok").Inc()
	m.upkeep.swept.SetToCurrentTime()
}
