package bench

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// values are what one field was in each round.
func (r *results) values(job, subject string, field func(record) float64) map[int]float64 {
	all := map[int]float64{}
	for _, one := range r.Records {
		if one.Job == job && one.Subject == subject {
			all[one.Round] = field(one)
		}
	}
	return all
}

func (r *results) median(job, subject string, field func(record) float64) float64 {
	return median(slices.Collect(maps.Values(r.values(job, subject, field))))
}

// jobs gives one record of each job, in their order.
func (r *results) jobs() (all []record) {
	for _, one := range r.Records {
		if len(all) == 0 || all[len(all)-1].Job != one.Job {
			all = append(all, one)
		}
	}
	return all
}

// speed is what a job is measured by, with its unit.
func (one record) speed() (field func(record) float64, unit string) {
	if one.Bulk {
		return func(r record) float64 { return r.MBPerSecond }, "MB/s"
	}
	return func(r record) float64 { return r.OpsPerSecond }, "op/s"
}

func (one record) cpu() (field func(record) float64, unit string) {
	if one.Bulk {
		return func(r record) float64 { return r.CPUPerGB }, "GB"
	}
	return func(r record) float64 { return r.CPUPer1000 }, "1,000"
}

// besideReverse are the ratios of a subject's speed to the reverse proxy's in the same round.
func (r *results) besideReverse(one record, subject string) []float64 {
	speed, _ := one.speed()
	return ratios(r.values(one.Job, subject, speed), r.values(one.Job, reverse, speed))
}

// spread is the median, with the least and the largest.
func spread(v []float64) string {
	if len(v) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f (%.2f to %.2f)", median(v), slices.Min(v), slices.Max(v))
}

// figures gives three digits that count.
func figures(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	digits := max(0, 2-int(math.Floor(math.Log10(max(math.Abs(v), 0.01)))))
	return fmt.Sprintf("%.*f", min(digits, 2), v)
}

func (r *results) brief(job string) string {
	for _, one := range r.jobs() {
		if one.Job == job {
			return fmt.Sprintf("opaque %s, md5 %s of the reverse proxy's", spread(r.besideReverse(one, opaque)), spread(r.besideReverse(one, md5)))
		}
	}
	return ""
}

func (r *results) markdown() string {
	e := r.Environment
	var loads []float64
	for _, one := range r.Records {
		loads = append(loads, one.Load)
	}
	text := fmt.Sprintf("Commit %s, %s, %s, %d cores, Linux %s, %s; %d rounds of %s, begun %s; median load of the machine %s.\n\n",
		e.Commit, e.Go, e.CPU, e.Cores, e.Kernel, e.Store, e.Rounds, e.Length, e.Begun, figures(median(loads)))
	return text + r.speedTable() + "\n" + r.costTable() + "\n" + r.rateTable()
}

func (r *results) speedTable() string {
	var b strings.Builder
	b.WriteString("| job (clients) | direct | reverse proxy | `opaque`: ratio | `md5`: ratio | CPU-s per | reverse | `opaque` | `md5` |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, one := range r.jobs() {
		if one.Rate > 0 {
			continue
		}
		speed, unit := one.speed()
		cpu, per := one.cpu()
		fmt.Fprintf(&b, "| %s (%d) | %s %s | %s | %s | %s | %s | %s | %s | %s |\n", one.Job, one.Clients, figures(r.median(one.Job, direct, speed)), unit, figures(r.median(one.Job, reverse, speed)),
			spread(r.besideReverse(one, opaque)), spread(r.besideReverse(one, md5)), per, figures(r.median(one.Job, reverse, cpu)), figures(r.median(one.Job, opaque, cpu)), figures(r.median(one.Job, md5, cpu)))
	}
	return b.String()
}

// costTable has what the processes use: three values in a cell, or two where the reverse proxy has none.
func (r *results) costTable() string {
	var b strings.Builder
	b.WriteString("Reverse proxy / `opaque` / `md5`:\n\n| job | peak MiB | allocations per operation | KiB allocated per operation | requests to the store per operation (`opaque` / `md5`) | KMS calls in a sample (`opaque` / `md5`) |\n|---|---|---|---|---|---|\n")
	for _, one := range r.jobs() {
		fmt.Fprintf(&b, "| %s ", one.Job)
		for _, field := range []func(record) float64{
			func(r record) float64 { return r.PeakMiB }, func(r record) float64 { return r.AllocationsPerOp }, func(r record) float64 { return r.AllocatedPerOp / kib },
		} {
			fmt.Fprintf(&b, "| %.0f / %.0f / %.0f ", r.median(one.Job, reverse, field), r.median(one.Job, opaque, field), r.median(one.Job, md5, field))
		}
		for _, field := range []func(record) float64{func(r record) float64 { return r.StoreRequestsPerOp }, func(r record) float64 { return r.KMSCalls }} {
			fmt.Fprintf(&b, "| %s / %s ", figures(r.median(one.Job, opaque, field)), figures(r.median(one.Job, md5, field)))
		}
		b.WriteString("|\n")
	}
	return b.String()
}

// rateTable has what each proxy adds to the latency of the store.
func (r *results) rateTable() string {
	var b strings.Builder
	for _, one := range r.jobs() {
		if one.Rate == 0 {
			continue
		}
		if b.Len() == 0 {
			b.WriteString("Milliseconds, at a rate that all bear; of proxies, what they add to the same round's direct:\n\n| job | per second | | p50 | p99 | p99.9 |\n|---|---|---|---|---|---|\n")
		}
		for _, subject := range subjectNames {
			fmt.Fprintf(&b, "| %s | %.0f | %s ", one.Job, one.Rate, subject)
			for _, p := range []string{"50", "99", "99.9"} {
				at := func(r record) float64 { return r.Milliseconds[p] }
				if subject == direct {
					fmt.Fprintf(&b, "| %s ", figures(r.median(one.Job, direct, at)))
				} else {
					fmt.Fprintf(&b, "| %+.2f ", median(differences(r.values(one.Job, subject, at), r.values(one.Job, direct, at))))
				}
			}
			b.WriteString("|\n")
		}
	}
	return b.String()
}
