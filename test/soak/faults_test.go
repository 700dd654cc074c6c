package soak

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// faulty is a fault on the way to the store.
type faulty struct {
	// via returns the URL by which the proxy reaches the store, and functions that begin and end
	// the fault.
	via func(t *testing.T, store string) (url string, begin, end func())
	// most is the largest share of operations that may fail during the fault, as the SDK sees it
	// after its own retries.
	most float64
	// least is the number of operations that must succeed nevertheless, on a busy machine after a
	// longer time.
	least int64
}

// toxic is a Toxiproxy fault, in both directions.
func toxic(kind string, share float64, attributes map[string]int) func(*testing.T, string) (string, func(), func()) {
	return func(t *testing.T, store string) (string, func(), func()) {
		way := lab.NetworkTo(t, store)
		begin := func() {
			way.Toxic(t, kind, "upstream", share, attributes)
			way.Toxic(t, kind, "downstream", share, attributes)
		}
		return way.URL, begin, func() { way.Heal(t) }
	}
}

// answers is an HAProxy fault: HAProxy answers some requests itself, with a status. It lasts as
// long as the test.
func answers(status int, condition string) func(*testing.T, string) (string, func(), func()) {
	return func(t *testing.T, store string) (string, func(), func()) {
		return lab.FailingWay(t, store, status, condition), func() {}, func() {}
	}
}

var faults = map[string]faulty{
	"latency":              {toxic("latency", 1, map[string]int{"latency": 150, "jitter": 100}), 0, 20},
	"connections reset":    {toxic("reset_peer", .2, map[string]int{"timeout": 20}), .2, 100},
	"half-open":            {toxic("timeout", 1, map[string]int{"timeout": 0}), 1, 0},
	"1 KB/s":               {toxic("bandwidth", 1, map[string]int{"rate": 1}), 1, 0},
	"cut after 100 KB":     {toxic("limit_data", 1, map[string]int{"bytes": 100_000}), .7, 20},
	"500 on 3 % of all":    {answers(500, "{ rand(100) lt 3 }"), .01, 200},
	"503 on 20 % of all":   {answers(503, "{ rand(100) lt 20 }"), .3, 100},
	"bursts of 503":        {answers(503, "{ date(),mod(4) eq 0 }"), .3, 100},
	"bursts of 500":        {answers(500, "{ date(),mod(4) eq 1 }"), .3, 100},
	"a stranger's answers": {answers(200, "{ method PUT } { rand(100) lt 5 }"), .3, 50},
}

// Clients work for some seconds while the way to the store is disturbed, and then while it is well.
// Nothing may be lost or wrong, operations succeed again once it is well, and nothing is left
// behind.
func TestFaultsOnTheWayToTheStoreLoseNothingAndLeaveNothing(t *testing.T) {
	lab.TakesLong(t)
	t.Parallel()
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if lab.Direct {
				t.Skip("there is no proxy")
			}
			store := lab.SharedVersitygw(t)
			url, begin, end := fault.via(t, store.URL)
			metrics := lab.FreeAddress(t)
			p := lab.Proxy(t, lab.ProxyOptions{Upstream: store, UpstreamURL: url, Args: []string{
				"--metrics-listen", metrics, "--upstream-stall-timeout", "2s", "--upstream-answer-timeout", "3s", "--key-window", "2s"}})
			r := &run{t: t, bucket: lab.FreeName("faults")}
			s3test.MakeBucket(t, store.S3(), r.bucket)
			workers := r.workers(p.S3(), 6)
			r.together(workers, time.Second) // fills all caches and opens all connections
			before := goroutines(t, metrics)
			sofar, failed := r.done(), r.failed.Load()

			begin()
			r.together(workers, 6*time.Second)
			for late := time.Now().Add(lab.AnswerWithin); r.done()-sofar < fault.least && time.Now().Before(late); {
				r.together(workers, time.Second) // the machine is busy
			}
			did, missed := r.done()-sofar, r.failed.Load()-failed
			end()
			share := float64(missed) / max(float64(did+missed), 1)
			t.Logf("%d operations were done and %d failed (%.2f %%)", did, missed, 100*share)
			if share > fault.most || did < fault.least {
				t.Errorf("%d operations were done, want %d or more; %.2f %% failed, want at most %.2f", did, fault.least, 100*share, 100*fault.most)
			}
			r.readBack(p.S3(), workers)
			settles(t, metrics, before)
			if peak, err := p.PeakMemory(); err == nil && peak > 250<<20 {
				t.Errorf("peak memory is %d MiB", peak>>20)
			}
		})
	}
}

// workers are SDK clients of one endpoint.
func (r *run) workers(at lab.S3, n int) (all []*worker) {
	for i := range n {
		all = append(all, &worker{run: r, name: fmt.Sprintf("w%d", i), sdk: s3test.SDK(r.t, at)})
	}
	return all
}

// together lets the workers work for a while, concurrently.
func (r *run) together(workers []*worker, while time.Duration) {
	ctx, stop := context.WithTimeout(r.t.Context(), while)
	defer stop()
	var all sync.WaitGroup
	for _, w := range workers {
		all.Go(func() { w.work(ctx) })
	}
	all.Wait()
}

func (r *run) done() int64 { return r.writes.Load() + r.reads.Load() }

// readBack reads everything that was written as soon as the way is well again. It retries whatever
// the fault still makes fail.
func (r *run) readBack(at lab.S3, workers []*worker) {
	var all sync.WaitGroup
	for _, w := range workers {
		all.Go(func() {
			sdk := s3test.SDK(r.t, at)
			for _, o := range append(w.retired, w.live...) {
				err := w.read(r.t.Context(), sdk, o)
				for try := 1; err != nil && try < 5; try++ {
					err = w.read(r.t.Context(), sdk, o)
				}
				if err != nil {
					r.wrong("%s cannot be read: %v", o.key, err)
				}
			}
		})
	}
	all.Wait()
}

var goroutinesNow = regexp.MustCompile(`(?m)^go_goroutines (\S+)`)

func goroutines(t *testing.T, metrics string) int {
	t.Helper()
	resp, err := http.Get("http://" + metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	found := goroutinesNow.FindSubmatch(text)
	if err != nil || found == nil {
		t.Fatalf("%v: no goroutines in the metrics", err)
	}
	n, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}

// settles waits until there are no more goroutines than before plus those of idle connections.
func settles(t *testing.T, metrics string, before int) {
	t.Helper()
	now := 0
	for deadline := time.Now().Add(lab.AnswerWithin); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if now = goroutines(t, metrics); now <= before+40 {
			return
		}
	}
	t.Errorf("%d goroutines before the fault, %d after it", before, now)
}
