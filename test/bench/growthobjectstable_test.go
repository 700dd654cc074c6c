package bench

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

// countedFront stands before a store and counts its requests.
func countedFront(b *testing.B, store *lab.Store) (address string, requests func() float64) {
	b.Helper()
	to, err := url.Parse(store.URL)
	if err != nil {
		b.Fatal(err)
	}
	var asked atomic.Int64
	transport := &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}
	forward := &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host }}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		forward.ServeHTTP(w, r)
	}))
	b.Cleanup(front.Close)
	return front.URL, func() float64 { return float64(asked.Load()) }
}

// objectTable has a line for each operation and store.
func objectTable(a *answers) string {
	var b strings.Builder
	b.WriteString("For so many things: things a second, requests to the store and CPU-microseconds for each, peak MiB. The exponent says how CPU grows from the second largest number to the largest: 1 is linear.\n\n| operation | store | things | a second | requests each | CPU µs each | exponent | peak MiB |\n|---|---|---|---|---|---|---|---|\n")
	for _, s := range a.series() {
		each := func(format string, value func(c walkCost, n float64) float64) string {
			var all []string
			for _, c := range s {
				all = append(all, fmt.Sprintf(format, value(c, float64(c.Things))))
			}
			return strings.Join(all, " / ")
		}
		grows := "-"
		if n := len(s); n > 1 && s[n-2].CPU > 0 {
			grows = fmt.Sprintf("%.2f", exponent(s[n-2], s[n-1]))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", s[0].Operation, s[0].Store,
			each("%.0f", func(_ walkCost, n float64) float64 { return n }), each("%.0f", func(c walkCost, n float64) float64 { return n / c.Seconds }),
			each("%.2g", func(c walkCost, n float64) float64 { return c.Requests / n }), each("%.0f", func(c walkCost, n float64) float64 { return 1e6 * c.CPU / n }),
			grows, each("%.0f", func(c walkCost, _ float64) float64 { return c.PeakMiB }))
	}
	return b.String()
}

// exponent is e in CPU ~ things^e.
func exponent(few, many walkCost) float64 {
	return math.Log(many.CPU/few.CPU) / math.Log(float64(many.Things)/float64(few.Things))
}

// series are the costs of one operation and store, by the number of things, in the order in which
// they were measured.
func (a *answers) series() (all [][]walkCost) {
	at := map[[2]string]int{}
	for _, c := range a.Walks {
		name := [2]string{c.Operation, c.Store}
		if _, known := at[name]; !known {
			at[name] = len(all)
			all = append(all, nil)
		}
		all[at[name]] = append(all[at[name]], c)
	}
	for _, s := range all {
		slices.SortFunc(s, func(a, b walkCost) int { return a.Things - b.Things })
	}
	return all
}

func TestGrowthIsAnExponent(t *testing.T) {
	if e := exponent(walkCost{Things: 10, CPU: 1}, walkCost{Things: 100, CPU: 10}); math.Abs(e-1) > 1e-9 {
		t.Errorf("ten times as much for ten times as many: %v", e)
	}
	if e := exponent(walkCost{Things: 10, CPU: 1}, walkCost{Things: 100, CPU: 100}); math.Abs(e-2) > 1e-9 {
		t.Errorf("the square: %v", e)
	}
}
