package soak

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// run is one soak test.
type run struct {
	t       *testing.T
	store   *lab.Store
	cluster *lab.Cluster
	bucket  string
	atEnd   func(context.Context) error

	writes, reads, failed, rounds, badRounds, bad atomic.Int64
}

// wrong reports something that must never happen.
func (r *run) wrong(format string, args ...any) {
	r.bad.Add(1)
	r.t.Errorf(format, args...)
}

// length is S3PROXY_TEST_SOAK, for example 10m; the default is a minute.
func length(t *testing.T) time.Duration {
	text := os.Getenv("S3PROXY_TEST_SOAK")
	if text == "" {
		return time.Minute
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 30*time.Second {
		t.Fatalf("S3PROXY_TEST_SOAK: %q is not a duration of at least 30s", text)
	}
	return d
}

func TestClientsLoseNothingWhileReplicasAndTheStoreAreKilledAndTheKeyIsRotated(t *testing.T) {
	lab.TakesLong(t)
	r := &run{t: t, store: lab.MinIO(t), bucket: lab.FreeName("soak")}
	r.cluster = lab.NewCluster(t, lab.ClusterOptions{Store: r.store, Balancer: "haproxy", Plain: true, Args: []string{"--key-window", "10s"}})
	s3test.MakeBucket(t, r.cluster.S3, r.bucket)
	lasts := length(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()

	var clients sync.WaitGroup
	var workers []*worker
	for i := range 6 {
		w := &worker{run: r, name: fmt.Sprintf("w%d", i), sdk: s3test.SDK(t, r.cluster.S3)}
		workers = append(workers, w)
		clients.Go(func() { w.work(ctx) })
	}
	for _, p := range r.programs(t) {
		clients.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				r.rounds.Add(1)
				if err := p.round(ctx, n); err != nil && ctx.Err() == nil {
					r.badRounds.Add(1)
					t.Logf("a round of %v", err)
				}
			}
		})
	}
	memory := r.watchMemory(ctx)
	r.disturb(lasts)
	// On a busy machine it takes longer until enough is done.
	for late := time.Now().Add(lab.AnswerWithin); !r.didEnough() && time.Now().Before(late); {
		time.Sleep(time.Second)
	}
	stop()
	clients.Wait()

	r.readAll(workers)
	if err := r.atEnd(t.Context()); err != nil {
		r.wrong("restic's repository: %v", err)
	}
	if out, code := lab.Command(t, r.store, "keys", "verify", "s3://"+r.bucket, "--upstream", r.store.URL, "--kms", r.cluster.KMS); code != 0 {
		r.wrong("keys verify ends with %d: %s", code, out)
	}
	first, last := memory()
	t.Logf("%v: %d writes and %d reads, %d failed; %d rounds of programs, %d failed; %d wrong; memory of the replica that lived: %d, then %d MiB",
		lasts, r.writes.Load(), r.reads.Load(), r.failed.Load(), r.rounds.Load(), r.badRounds.Load(), r.bad.Load(), first>>20, last>>20)
	if last > first+first/2+(32<<20) {
		t.Errorf("memory grows from %d to %d MiB", first>>20, last>>20)
	}
	if !r.didEnough() {
		t.Error("too little was done to prove anything")
	}
}

func (r *run) didEnough() bool {
	return r.writes.Load() >= 100 && r.reads.Load() >= 100 && r.rounds.Load()-r.badRounds.Load() >= 3
}

// disturb kills a replica every few seconds, restarts the store after a third and two thirds of the
// time, and rotates the key in between. It ends when all of that came about.
func (r *run) disturb(lasts time.Duration) {
	began := time.Now()
	at := func(part float64) time.Time { return began.Add(time.Duration(part * float64(lasts))) }
	type event struct {
		due time.Time
		do  func()
	}
	events := []event{{at(.25), r.rotate}, {at(.4), r.restartStore}, {at(.6), r.rotate}, {at(.75), r.restartStore}}
	for len(events) > 0 || time.Now().Before(at(1)) {
		time.Sleep(time.Duration(3+rand.IntN(3)) * time.Second)
		if len(events) > 0 && time.Now().After(events[0].due) {
			events[0].do()
			events = events[1:]
			continue
		}
		replica := r.cluster.Replicas[rand.IntN(2)] // the third stays alive, so that its memory can be watched
		replica.Kill()
		replica.Restart(r.t)
	}
}

func (r *run) restartStore() {
	r.store.Kill()
	time.Sleep(time.Second)
	r.store.Restart(r.t)
}

func (r *run) rotate() {
	out, code := lab.Command(r.t, r.store, "keys", "rotate", "--new-version", "--settle", "3s", "s3://"+r.bucket, "--upstream", r.store.URL, "--kms", r.cluster.KMS)
	if code != 0 {
		r.wrong("keys rotate ends with %d: %s", code, out)
	}
}

// readAll reads, from each replica, everything that the workers have written.
func (r *run) readAll(workers []*worker) {
	var all sync.WaitGroup
	for i, w := range workers {
		at := r.cluster.Replicas[i%len(r.cluster.Replicas)].S3()
		all.Go(func() {
			sdk := s3.New(s3test.SDK(r.t, at).Options())
			for _, o := range append(w.retired, w.live...) {
				if err := w.read(r.t.Context(), sdk, o); err != nil {
					r.wrong("%s cannot be read at the end: %v", o.key, err)
				}
			}
		})
	}
	all.Wait()
}

var resident = regexp.MustCompile(`(?m)^process_resident_memory_bytes (\S+)`)

// watchMemory returns the third replica's peak memory in the second and in the last quarter.
func (r *run) watchMemory(ctx context.Context) func() (first, last int64) {
	var mu sync.Mutex
	var seen []int64
	go func() {
		for ctx.Err() == nil {
			if n := r.memory(); n > 0 {
				mu.Lock()
				seen = append(seen, n)
				mu.Unlock()
			}
			time.Sleep(500 * time.Millisecond)
		}
	}()
	return func() (first, last int64) {
		mu.Lock()
		defer mu.Unlock()
		for i, n := range seen {
			switch 4 * i / len(seen) {
			case 1:
				first = max(first, n)
			case 3:
				last = max(last, n)
			}
		}
		return first, last
	}
}

func (r *run) memory() int64 {
	resp, err := http.Get("http://" + r.cluster.Replicas[2].Metrics + "/metrics")
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	found := resident.FindSubmatch(text)
	if err != nil || found == nil {
		return 0
	}
	n, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		return 0
	}
	return int64(n)
}
