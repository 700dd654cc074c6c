package bench

import (
	"bytes"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
)

// walkCost is what one operation over many things costs.
type walkCost struct {
	Operation string  `json:"operation"`
	Store     string  `json:"store"`
	Things    int     `json:"things"` // objects, uploads or parts
	Seconds   float64 `json:"seconds"`
	CPU       float64 `json:"cpu-seconds"` // of the command, or of the running proxy
	Requests  float64 `json:"store-requests"`
	PeakMiB   float64 `json:"peak-mib"`
}

// objectWorld is a store whose requests are counted, and proxies before it.
type objectWorld struct {
	*world
	a        *answers
	store    *lab.Store
	kind     string // of the store
	requests func() float64
	opaque   *subject
	md5      *subject
	dataDir  string
}

// windowOfObjects is how many objects share a window key here, so that there are records to rotate.
const windowOfObjects = 1000

// objectGrowth is of buckets with more and more objects: in a store in memory, and, for the least
// of these numbers, in a real one too.
func objectGrowth(w *world, a *answers) {
	for _, o := range []struct {
		kind  string
		sizes []int
		parts []int
	}{{w.settings.store, w.settings.objects[:1], w.settings.parts[:1]}, {"memory", w.settings.objects, w.settings.parts}} {
		at := w.objectWorld(a, o.kind)
		for _, n := range o.sizes {
			at.objects(n)
		}
		for _, n := range o.parts {
			at.parts(n)
		}
		for _, p := range []*lab.Process{at.opaque.process, at.md5.process, at.store.Process} {
			p.Kill()
		}
	}
}

func (w *world) objectWorld(a *answers, kind string) *objectWorld {
	o := &objectWorld{world: w, a: a, kind: kind}
	if kind == "memory" {
		o.store = startMemoryStore(w.b)
		o.requests = func() float64 {
			text, err := (&target{"memory", o.store.URL, "id", "secret", http.DefaultClient}).text(http.MethodGet, "/-", nil)
			w.must(err)
			n, err := strconv.ParseFloat(string(text), 64)
			w.must(err)
			return n
		}
	} else {
		real := w.store(false, nil)
		front := *real
		front.URL, o.requests = countedFront(w.b, real)
		o.store = &front
	}
	st := &stage{store: o.store}
	o.opaque = w.proxy(st, opaque, proxySetting{args: []string{"--key-window-objects", fmt.Sprint(windowOfObjects)}})
	o.md5 = w.proxy(st, md5, proxySetting{args: []string{"--etag", "md5"}})
	o.dataDir = st.dataDir
	return o
}

// objects is of one bucket with n objects of one byte, and then with n uploads in progress.
func (o *objectWorld) objects(n int) {
	bucket := fmt.Sprintf("objects-%d", n)
	o.must(o.opaque.do(http.MethodPut, "/"+bucket, nil))
	o.serve("PUT", n, o.opaque, func() error {
		return sideBySide(n, 16, func(i int) error {
			return o.opaque.do(http.MethodPut, fmt.Sprintf("/%s/%04d/%03d", bucket, i/1000, i%1000), []byte("x"))
		})
	})
	list := func(s *subject) func() error {
		return func() error { return s.list("/"+bucket+"?list-type=2&prefix=", objectList, n) }
	}
	o.serve("LIST", n, o.opaque, list(o.opaque))
	o.serve("LIST, `md5`, first", n, o.md5, list(o.md5))
	o.serve("LIST, `md5`, again", n, o.md5, list(o.md5))
	at := "s3://" + bucket
	o.command("keys verify", n, "keys", "verify", at)
	o.command("keys status --objects", n, "keys", "status", "--objects", at)
	o.command("gc --records", n, "gc", "--records", "--records-grace", "0", at)
	o.command("keys rotate", n, "keys", "rotate", "--new-version", "--settle", "0", at)
	if n > o.settings.renewed {
		return // it would take long
	}
	o.command("keys rotate --objects", n, "keys", "rotate", "--new-version", "--objects", "--settle", "0", at)
	o.must(sideBySide(n, 16, func(i int) error {
		return o.opaque.do(http.MethodPost, fmt.Sprintf("/%s/upload-%d?uploads=", bucket, i), nil)
	}))
	o.command("gc, of uploads in progress", n, "gc", at)
}

// parts is of one upload with n parts of 5 MiB.
func (o *objectWorld) parts(n int) {
	bucket := "/parts-" + fmt.Sprint(n)
	o.must(o.opaque.do(http.MethodPut, bucket, nil))
	id, err := o.opaque.begin(bucket + "/upload")
	o.must(err)
	etags := make([]string, n)
	o.serve("UploadPart of 5 MiB", n, o.opaque, func() error {
		return sideBySide(n, 4, func(i int) (err error) {
			off := int64(i%20) * 5 * mib // random has 104 MiB
			etags[i], err = o.opaque.put(fmt.Sprintf("%s&partNumber=%d", id, i+1), whole(100*mib), off, 5*mib, true)
			return err
		})
	})
	o.serve("ListParts", n, o.opaque, func() error { return o.opaque.list(id+"&max-parts=1000", partList, n) })
	o.serve("Complete", n, o.opaque, func() error { return o.opaque.do(http.MethodPost, id, completion(etags, 1)) })
}

// wanted tells whether BENCH_JOBS has an operation. What others need is done anyway.
func (o *objectWorld) wanted(operation string) bool {
	return o.settings.jobs.MatchString(operation) || operation == "PUT" || strings.HasPrefix(operation, "UploadPart")
}

// serve measures what a running proxy does.
func (o *objectWorld) serve(operation string, n int, s *subject, do func() error) {
	o.b.Helper()
	if !o.wanted(operation) {
		return
	}
	s.forgetPeak()
	requests := o.requests()
	cpu, err := s.cpu()
	o.must(err)
	begun := time.Now()
	o.must(do())
	took := time.Since(begun).Seconds()
	o.settle() // a Complete leaves work behind
	after, err := s.cpu()
	o.must(err)
	o.keep(walkCost{Operation: operation, Things: n, Seconds: took, CPU: after - cpu, Requests: o.requests() - requests, PeakMiB: s.peak()})
}

// settle waits until the store has not been asked for anything for a while.
func (o *objectWorld) settle() {
	for before := -1.0; before != o.requests(); {
		before = o.requests()
		time.Sleep(100 * time.Millisecond)
	}
}

// command measures a command of the binary. One that fails is said, and does not keep the others
// from running.
func (o *objectWorld) command(operation string, n int, args ...string) {
	o.b.Helper()
	if !o.wanted(operation) {
		return
	}
	args = append(args, "--upstream", o.store.URL, "--kms", "localfile://"+filepath.Join(o.dataDir, "keyset.json"), "--progress", "none")
	cmd := exec.Command(lab.S3proxy(o.b), args...)
	cmd.Env = lab.Env("HOME="+o.b.TempDir(), "AWS_ACCESS_KEY_ID="+o.store.AccessKey, "AWS_SECRET_ACCESS_KEY="+o.store.SecretKey)
	requests := o.requests()
	begun := time.Now()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	o.must(cmd.Start())
	peak := watchPeak(cmd.Process.Pid)
	err := cmd.Wait()
	cost := walkCost{Operation: operation, Things: n, Seconds: time.Since(begun).Seconds(), PeakMiB: peak(), Requests: o.requests() - requests}
	if err != nil {
		o.b.Errorf("s3proxy %s: %v: %.2000s", strings.Join(args, " "), err, &out)
		return
	}
	cost.CPU = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	o.keep(cost)
}

// watchPeak looks again and again: what wait4 tells of a child's memory may be its parent's, before
// it became another program.
func watchPeak(pid int) (peak func() float64) {
	end, most := make(chan struct{}), make(chan float64)
	go func() {
		seen := 0.0
		for {
			select {
			case <-end:
				most <- seen
				return
			case <-time.After(20 * time.Millisecond):
				seen = max(seen, peakOf(pid))
			}
		}
	}()
	return func() float64 { close(end); return <-most }
}

func (o *objectWorld) keep(c walkCost) {
	c.Store = o.kind
	o.a.Walks = append(o.a.Walks, c)
	fmt.Printf("%-7s %-28s %8d: %8.2f s, %8.2f CPU-s, %9.0f requests\n", c.Store, c.Operation, c.Things, c.Seconds, c.CPU, c.Requests)
	o.a.save()
}
