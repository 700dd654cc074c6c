package metrics

import (
	"cmp"
	"context"
	"net/http"

	"github.com/s3proxy/s3proxy/proxy"
)

// Observe counts a request. It is what proxy.Config.Observe asks for.
func (m *Metrics) Observe(ctx context.Context, s proxy.Served) {
	operation := cmp.Or(s.Operation, "unknown")
	bucket := m.bucket(s)
	m.requests.WithLabelValues(operation, class(s.Status), bucket).Inc()
	m.took(ctx, m.duration, operation, s.Took.Seconds())
	if s.FirstByte > 0 {
		m.took(ctx, m.firstByte, operation, s.FirstByte.Seconds())
	}
	m.received.WithLabelValues(bucket).Add(float64(s.Received))
	m.sent.WithLabelValues(bucket).Add(float64(s.Sent))
	if s.Refused != "" {
		m.refused.WithLabelValues(s.Refused).Inc()
	}
	if s.Integrity != "" {
		m.integrity.WithLabelValues(s.Integrity).Inc()
	}
	if s.Plaintext && s.Method == http.MethodGet && s.Err == nil {
		m.plaintext.Inc()
	}
	if s.Legacy && s.Method == http.MethodGet && s.Err == nil {
		m.legacy.Inc()
	}
}

// bucket is the bucket's name as a label. A name that only a refused request has had is no
// bucket's: whoever can reach the listener could fill the memory with such names.
func (m *Metrics) bucket(s proxy.Served) string {
	if s.Bucket == "" {
		return ""
	}
	if s.Status/100 != 2 && !m.buckets.has(s.Bucket) {
		return other
	}
	return m.buckets.of(s.Bucket)
}

// InFlight counts the requests that next has not answered yet.
func (m *Metrics) InFlight(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.inFlight.Inc()
		defer m.inFlight.Dec()
		next.ServeHTTP(w, r)
	})
}

// class is 2xx for 200, and error where there was no status.
func class(status int) string {
	switch status / 100 {
	case 1:
		return "1xx"
	case 2:
		return "2xx"
	case 3:
		return "3xx"
	case 4:
		return "4xx"
	case 5:
		return "5xx"
	}
	return "error"
}
