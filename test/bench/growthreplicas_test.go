package bench

import (
	"fmt"
	"os"
	"strings"
)

// replicaGrowth lets 1, 2 and 4 proxies share one core, and their clients and a store in memory the
// other: what a core serves, and whether more processes serve more of it. On a machine with one
// core there is nothing to tell apart.
func replicaGrowth(w *world, a *answers) {
	all := w.ownCores()
	if all.Count() < 2 || !all.IsSet(0) || !all.IsSet(1) {
		w.b.Skip("needs the cores 0 and 1")
	}
	store := startMemoryStore(w.b)
	st := &stage{store: store}
	w.plain = st
	for _, mode := range []string{opaque, md5} {
		for _, n := range w.settings.replicas {
			st.subjects = append(st.subjects, w.replicas(st, mode, n))
		}
	}
	if err := st.subjects[0].do("PUT", "/bench", nil); err != nil {
		w.b.Fatal(err)
	}
	w.pin(store.PID(), 2)
	w.pin(os.Getpid(), 2)
	defer w.unpin(all)
	number := 0
	for _, j := range append(putAndGet("4 KiB", 4*kib, 16), putAndGet("1 MiB", mib, 16)...) {
		do := j.do
		j.do = func(s *subject, i int) (int64, error) { return do(s.replica(i), i) }
		found := w.measure(number, j)
		a.Records = append(a.Records, found...)
		fmt.Printf("%-12s\n", j.name)
		a.save()
		number++
	}
}

// replicas are n proxies on the first core.
func (w *world) replicas(st *stage, mode string, n int) *subject {
	name := fmt.Sprintf("%s, %s", mode, plural(n, "replica"))
	set := proxySetting{args: []string{"--etag", mode}, env: []string{"GOMAXPROCS=1"}, core: 1}
	s := w.proxy(st, name, set)
	for range n - 1 {
		s.peers = append(s.peers, w.proxy(st, name, set))
	}
	return s
}

// replica is the i-th of the subject's processes, in turn.
func (s *subject) replica(i int) *subject {
	if i %= len(s.peers) + 1; i > 0 {
		return s.peers[i-1]
	}
	return s
}

func replicaTable(a *answers) string {
	r := &results{Records: a.Records}
	var b strings.Builder
	b.WriteString("| job, 16 clients | replicas on one core | speed | share of the core | CPU-s per | | by the model | peak MiB of one |\n|---|---|---|---|---|---|---|---|\n")
	for _, one := range r.jobs() {
		speed, unit := one.speed()
		_, per := one.cpu()
		for _, subject := range r.subjects() {
			cpu := r.median(one.Job, subject, cpuOf)
			served := 1000 / cpu // a second, of what per says: 1,000 operations, or 1,000 MB
			share := r.median(one.Job, subject, func(r record) float64 { return r.CPUSeconds / r.Seconds })
			fmt.Fprintf(&b, "| %s | %s | %s %s | %.0f %% | %s | %s | %s %s | %.0f |\n", one.Job, subject, figures(r.median(one.Job, subject, speed)), unit, 100*share, per, figures(cpu),
				figures(served), unit, r.median(one.Job, subject, func(r record) float64 { return r.PeakMiB }))
		}
	}
	return b.String()
}
