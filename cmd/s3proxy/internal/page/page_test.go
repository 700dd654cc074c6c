package page

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/s3proxy/s3proxy/proxy"
)

func TestWhoMaySeeIt(t *testing.T) {
	const token = "a token of some length"
	ours := func(r *http.Request) error {
		if r.Host != "localhost" {
			return errors.New("no")
		}
		return nil
	}
	for name, c := range map[string]struct {
		guard  Guard
		path   string
		host   string
		header map[string]string
		want   int
	}{
		"on this machine":                 {Guard{Open: ours}, "/", "localhost", nil, 200},
		"under another name":              {Guard{Open: ours}, "/", "rebound.example", nil, 403},
		"another site's page asks":        {Guard{Open: ours}, "/status.json", "localhost", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		"a page of another port asks":     {Guard{Open: ours}, "/status.json", "localhost", map[string]string{"Sec-Fetch-Site": "same-site"}, 403},
		"the page itself asks":            {Guard{Open: ours}, "/status.json", "localhost", map[string]string{"Sec-Fetch-Site": "same-origin"}, 200},
		"another site links here":         {Guard{Open: ours}, "/", "localhost", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200},
		"another site frames it":          {Guard{Open: ours}, "/", "localhost", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 403},
		"another site links to a profile": {Guard{Open: ours}, "/debug/pprof/profile", "localhost", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 403},
		"without the token":               {of(token, nil), "/", "localhost", nil, 401},
		"a wrong token":                   {of(token, nil), "/", "localhost", map[string]string{"Authorization": "Bearer " + token + "!"}, 401},
		"a part of the token":             {of(token, nil), "/", "localhost", map[string]string{"Authorization": "Bearer a"}, 401},
		"another scheme":                  {of(token, nil), "/", "localhost", map[string]string{"Authorization": "Token " + token}, 401},
		"the token":                       {of(token, nil), "/", "anywhere", map[string]string{"Authorization": "bearer " + token}, 200},
		"the token as a password":         {of(token, nil), "/", "anywhere", map[string]string{"Authorization": "Basic YW55Ym9keTphIHRva2VuIG9mIHNvbWUgbGVuZ3Ro"}, 200},
		"the token as a user":             {of(token, nil), "/", "anywhere", map[string]string{"Authorization": "Basic YSB0b2tlbiBvZiBzb21lIGxlbmd0aDo="}, 401},
		"no token is set":                 {of("", nil), "/", "localhost", nil, 401},
		"nor shown":                       {of("", nil), "/", "localhost", map[string]string{"Authorization": "Bearer "}, 401},
		"the token is out of reach":       {of("", errors.New("gone")), "/", "localhost", map[string]string{"Authorization": "Bearer " + token}, 503},
	} {
		r := httptest.NewRequest(http.MethodGet, c.path, nil)
		r.Host = c.host
		for k, v := range c.header {
			r.Header.Set(k, v)
		}
		w := httptest.NewRecorder()
		c.guard.Of(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		if w.Code != c.want || (w.Code == 401) != (w.Header().Get("WWW-Authenticate") != "") || strings.Contains(w.Body.String(), token) {
			t.Errorf("%s: %d, want %d: %s", name, w.Code, c.want, w.Body)
		}
	}
}

func of(token string, err error) Guard {
	return Guard{Token: func() (string, error) { return token, err }}
}

// source has one of everything.
func source() Source {
	r := prometheus.NewRegistry()
	counter := func(name string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name}, labels)
		r.MustRegister(c)
		return c
	}
	requests := counter("s3proxy_requests_total", "operation", "code", "bucket")
	requests.WithLabelValues("GetObject", "2xx", "a").Add(5)
	requests.WithLabelValues("GetObject", "4xx", "a").Add(2)
	requests.WithLabelValues("GetObject", "5xx", "b").Add(1)
	requests.WithLabelValues("PutObject", "error", "b").Add(1)
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "s3proxy_request_duration_seconds"}, []string{"operation"})
	r.MustRegister(duration)
	duration.WithLabelValues("GetObject").Observe(2.5)
	counter("s3proxy_response_bytes_total", "bucket").WithLabelValues("a").Add(100)
	counter("s3proxy_integrity_failures_total", "kind").WithLabelValues("segment").Add(3)
	counter("s3proxy_signatures_refused_total", "cause").WithLabelValues("none")
	kms := counter("s3proxy_kms_calls_total", "operation", "result")
	kms.WithLabelValues("wrap", "ok").Add(4)
	kms.WithLabelValues("wrap", "unavailable").Add(2)
	kms.WithLabelValues("wrap", "canceled").Add(1)
	looks := counter("s3proxy_cache_lookups_total", "cache", "result")
	looks.WithLabelValues("trailers", "hit").Add(8)
	looks.WithLabelValues("trailers", "miss").Add(2)
	gauge := func(name, label, value string, n float64) {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name}, []string{label})
		r.MustRegister(g)
		g.WithLabelValues(value).Set(n)
	}
	gauge("s3proxy_cache_entries", "cache", "trailers", 9)
	gauge("s3proxy_windows", "kek", "vault://transit/photos#7", 2)
	gauge("s3proxy_upstream_up", "store", "http://store", 1)
	return Source{
		Metrics: r,
		Running: func() []proxy.Transfer {
			return make([]proxy.Transfer, maxRunning+5)
		},
		Sweep: func() proxy.SweepState { return proxy.SweepState{Bucket: "a", Done: 1, Of: 3} },
		Ready: func(context.Context) Readiness {
			return Readiness{Ready: true, At: time.Now(), Notes: []string{}, Keys: []Key{{URI: "vault://transit/photos"}}}
		},
	}
}

func TestTheStatusIsMadeOfTheMetrics(t *testing.T) {
	w := httptest.NewRecorder()
	Handler(source()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/status.json", nil))
	var s Status
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d, %v: %s", w.Code, err, w.Body)
	}
	if len(s.Operations) != 2 || s.Operations[0] != (Operation{"GetObject", 8, 2, 1, 2.5}) || s.Operations[1] != (Operation{"PutObject", 1, 0, 1, 0}) {
		t.Errorf("operations: %+v", s.Operations)
	}
	if s.Totals.Requests != 9 || s.Totals.Failed != 2 || s.Totals.Sent != 100 {
		t.Errorf("totals: %+v", s.Totals)
	}
	if len(s.Errors.Integrity) != 1 || s.Errors.Integrity[0] != (Count{"segment", 3}) || len(s.Errors.Signatures) != 0 {
		t.Errorf("errors: %+v", s.Errors)
	}
	if len(s.KMS) != 1 || s.KMS[0] != (Calls{"wrap", 7, 2, 0}) {
		t.Errorf("KMS: %+v", s.KMS)
	}
	if len(s.Caches) != 1 || s.Caches[0] != (Cache{"trailers", 9, 8, 2}) || len(s.Windows.KEKs) != 1 || len(s.Stores) != 1 || !s.Stores[0].Answers {
		t.Errorf("%+v, %+v, %+v", s.Caches, s.Windows, s.Stores)
	}
	if s.Running.Total != maxRunning+5 || len(s.Running.Transfers) != maxRunning || s.Upkeep.SweepBucket != "a" || s.Upkeep.SweepOf != 3 {
		t.Errorf("%+v, %+v", s.Running, s.Upkeep)
	}
	if strings.Contains(w.Body.String(), "null") { // the page walks through every list
		t.Errorf("a list is missing: %s", w.Body)
	}
}

func TestThePageLoadsNothingFromElsewhereAndIsInNoFrame(t *testing.T) {
	h := Handler(source())
	for path, kind := range map[string]string{"/": "text/html", "/page.css": "text/css", "/page.js": "text/javascript", "/icon.svg": "image/svg+xml", "/status.json": "application/json"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) {
			t.Errorf("%s: %d, %s", path, w.Code, w.Header().Get("Content-Type"))
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": policy, "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		text := strings.ReplaceAll(w.Body.String(), "http://www.w3.org/2000/svg", "")
		if found := regexp.MustCompile(`https?://[^"]*|//[a-z]+\.[a-z]+/|innerHTML|style="|onclick=`).FindString(text); found != "" && path != "/status.json" {
			t.Errorf("%s has %s", path, found)
		}
	}
	for _, path := range []string{"/page.html", "/static/", "/../page.go", "/status"} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path = path
		if h.ServeHTTP(w, r); w.Code == http.StatusOK {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/status.json", nil)); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("a POST: %d", w.Code)
	}
}
