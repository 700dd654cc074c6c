package bench

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// limited is a subject with the default limit of requests at once, whose clients wait.
const limited = "limited"

// defaultRequests is the default of --max-requests.
const defaultRequests = 512

// clientGrowth is of more and more clients. The proxies take as many requests at once as there are
// clients, but for one with the default limit, which tells clients to come again: they wait as SDKs
// do, up to a second longer each time.
func clientGrowth(w *world, a *answers) {
	counts := w.settings.clients
	w.proxyArgs = []string{"--max-requests", fmt.Sprint(slices.Max(counts) + 8)}
	st := w.stage(false)
	subjects := st.subjects
	waits := w.proxy(st, limited, proxySetting{args: []string{"--etag", "opaque"}})
	number := 0
	for _, clients := range counts {
		if st.subjects = subjects; clients > defaultRequests {
			st.subjects = append(slices.Clone(subjects), waits)
		}
		for _, j := range append(putAndGet("4 KiB", 4*kib, clients), putAndGet("1 MiB", mib, clients)[1]) {
			j.name, j.growth = j.name+", "+plural(clients, "client"), j.name
			do := j.do
			j.do = func(s *subject, i int) (int64, error) { return waiting(s, do, i) }
			found := w.measure(number, j)
			a.Records = append(a.Records, found...)
			fmt.Printf("%-28s %s\n", j.name, besides(found, opaque))
			a.save()
			number++
		}
	}
}

// waiting repeats an operation for as long as the proxy, or the store, says SlowDown.
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
func waiting(s *subject, do func(s *subject, i int) (int64, error), i int) (int64, error) {
	for try := 1; ; try++ {
		n, err := do(s, i)
		if !errors.Is(err, errSlowDown) || try == 100 {
			return n, err
		}
		s.refused.Add(1)
		most := min(time.Duration(try)*time.Second, 20*time.Second)
		time.Sleep(rand.N(most))
	}
}

func clientTable(a *answers) string {
	r := &results{Records: a.Records}
	var b, notes strings.Builder
	b.WriteString("| job | clients | direct | reverse proxy | `opaque`: ratio | `md5`: ratio | CPU-s per | reverse / `opaque` / `md5` | peak MiB | p99 in ms | `opaque`, `--max-requests 512`: ratio, told to wait per operation |\n|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, one := range r.jobs() {
		speed, unit := one.speed()
		cpu, per := one.cpu()
		peak := func(r record) float64 { return r.PeakMiB }
		late := func(r record) float64 { return r.Milliseconds["99"] }
		of := func(field func(record) float64) string {
			return fmt.Sprintf("%s / %s / %s", figures(r.median(one.Job, reverse, field)), figures(r.median(one.Job, opaque, field)), figures(r.median(one.Job, md5, field)))
		}
		fmt.Fprintf(&b, "| %s | %d | %s %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", one.Growth, one.Clients, figures(r.median(one.Job, direct, speed)), unit, figures(r.median(one.Job, reverse, speed)),
			spread(r.besideReverse(one, opaque)), spread(r.besideReverse(one, md5)), per, of(cpu), of(peak), of(late),
			r.waited(one))
		for _, subject := range subjectNames {
			if n := r.median(one.Job, subject, refusedPerOp); n > 0 {
				fmt.Fprintf(&notes, "%s, %s: %.2f times told to wait per operation, by the store.\n", one.Job, subject, n)
			}
		}
	}
	return b.String() + notes.String()
}

func refusedPerOp(r record) float64 { return r.RefusedPerOp }

// waited is how fast clients are that are told to wait, and how often they are.
func (r *results) waited(one record) string {
	beside := r.besideReverse(one, limited)
	if len(beside) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f, %.2f", median(beside), r.median(one.Job, limited, refusedPerOp))
}

// besides tells how a subject does beside the reverse proxy.
func besides(found []record, subject string) string {
	r := &results{Records: found}
	return fmt.Sprintf("%s of the reverse proxy's", spread(r.besideReverse(found[0], subject)))
}
