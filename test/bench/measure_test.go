package bench

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// measure does a job through all subjects, in rounds, in another order each time.
func (w *world) measure(number int, j job) (all []record) {
	st := w.stage(j.tls)
	for _, s := range st.subjects {
		if j.prepare != nil {
			if err := j.prepare(w, st, s); err != nil {
				w.b.Fatalf("%s, preparing: %v", j.name, err)
			}
		}
	}
	if j.count == 0 {
		for _, s := range st.subjects {
			w.closedLoop(j, s, w.settings.length/5) // connections are made, memory is there
		}
	}
	rate := 0.0
	if j.rate {
		rate = w.sustainable(j, st)
	}
	rounds := w.settings.rounds
	if j.single {
		rounds = 1
	}
	for round := range rounds {
		for _, i := range rotated(len(st.subjects), number+round) {
			all = append(all, w.sample(j, st.subjects[i], round, rate))
			st.emptyTrash(w.b)
		}
	}
	if w.settings.profile > 0 && j.count == 0 {
		for _, s := range st.subjects {
			w.profile(j, s)
			st.emptyTrash(w.b)
		}
	}
	return all
}

// done is what a sample did.
type done struct {
	ops     int
	bytes   int64
	seconds float64
	latency []time.Duration
}

func (w *world) sample(j job, s *subject, round int, rate float64) record {
	if j.fresh && s.restart != nil {
		s.restart()
		s.client.CloseIdleConnections()
	}
	s.forgetPeak()
	s.refused.Store(0)
	used := func() used {
		u, err := s.used()
		if err != nil {
			w.b.Fatal(err)
		}
		return u
	}
	used() // fills the pools that a question uses
	first := used()
	before := used()
	asking := before.minus(first) // what the question itself uses
	asking.store, asking.kms, asking.wraps = 0, 0, 0
	cpu := func() float64 {
		seconds, err := s.cpu()
		if err != nil {
			w.b.Fatal(err)
		}
		return seconds
	}
	var d done
	began := cpu()
	if j.rate {
		d = w.openLoop(j, s, rate)
	} else {
		d = w.closedLoop(j, s, w.settings.length)
	}
	spent := cpu() - began
	after := used().minus(before).minus(asking)
	after.cpu = spent
	r := newRecord(j, s.name, round, d, after, s.peak(), rate, load())
	r.RefusedPerOp = float64(s.refused.Load()) / float64(d.ops)
	return r
}

// closedLoop has clients that each send when they have their answer.
func (w *world) closedLoop(j job, s *subject, length time.Duration) done {
	var d done
	var mu sync.Mutex
	var next atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range j.clients {
		wg.Go(func() {
			for first := true; first || j.count > 0 || time.Since(start) < length; first = false {
				i := int(next.Add(1)) - 1
				if j.count > 0 && i >= j.count {
					return
				}
				began := time.Now()
				n, err := j.do(s, i)
				took := time.Since(began)
				if err != nil {
					w.b.Errorf("%s, %s: %v", j.name, s.name, err)
					return
				}
				mu.Lock()
				d.ops, d.bytes, d.latency = d.ops+1, d.bytes+n, append(d.latency, took)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	d.seconds = time.Since(start).Seconds()
	if w.b.Failed() {
		w.b.FailNow()
	}
	return d
}

// load is how many processes wanted a processor in the last minute.
func load() float64 {
	text, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(text), " ")
	value, _ := strconv.ParseFloat(first, 64)
	return value
}
