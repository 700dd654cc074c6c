package page

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// families are metrics by name.
type families map[string]*dto.MetricFamily

func gather(from prometheus.Gatherer) (families, error) {
	all, err := from.Gather()
	if err != nil {
		return nil, err
	}
	f := families{}
	for _, family := range all {
		f[family.GetName()] = family
	}
	return f, nil
}

// sample is one value of a metric.
type sample struct{ m *dto.Metric }

// label gives the value of a label; "" for none.
func (s sample) label(name string) string {
	for _, l := range s.m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

func (s sample) value() float64 {
	switch {
	case s.m.GetCounter() != nil:
		return s.m.GetCounter().GetValue()
	case s.m.GetGauge() != nil:
		return s.m.GetGauge().GetValue()
	}
	return 0
}

// each calls f for all values of a metric.
func (f families) each(name string, do func(sample)) {
	for _, m := range f[name].GetMetric() {
		do(sample{m})
	}
}

// sum adds all values of a metric.
func (f families) sum(name string) (n float64) {
	f.each(name, func(s sample) { n += s.value() })
	return n
}

// counts gives the values of a metric that are not 0, by a label.
func (f families) counts(name, label string) []Count {
	all := []Count{}
	f.each(name, func(s sample) {
		if n := s.value(); n > 0 {
			all = append(all, Count{s.label(label), n})
		}
	})
	return all
}
