package bench

import (
	"sync"
	"time"
)

// sustainable is a rate that all subjects bear: 40 % of what the slowest does as fast as it can.
func (w *world) sustainable(j job, st *stage) float64 {
	least := 0.0
	for _, s := range st.subjects {
		d := w.closedLoop(j, s, w.settings.length)
		if rate := float64(d.ops) / d.seconds; least == 0 || rate < least {
			least = rate
		}
	}
	return 0.4 * least
}

// openLoop sends at a rate, whether answers are there or not. Latency counts from when a request
// should have been sent: who waits for answers omits what came late.
// https://www.infoq.com/presentations/latency-response-time/
func (w *world) openLoop(j job, s *subject, rate float64) done {
	count := max(1, int(rate*w.settings.length.Seconds()))
	d := done{ops: count, latency: make([]time.Duration, count)}
	var mu sync.Mutex
	var wg sync.WaitGroup
	start := time.Now()
	for i := range count {
		due := start.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		time.Sleep(time.Until(due))
		wg.Go(func() {
			n, err := j.do(s, i)
			d.latency[i] = time.Since(due)
			mu.Lock()
			defer mu.Unlock()
			d.bytes += n
			if err != nil {
				w.b.Errorf("%s, %s: %v", j.name, s.name, err)
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
