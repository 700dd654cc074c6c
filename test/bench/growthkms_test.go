package bench

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

// kmsCount is what so many objects cost a KMS: written, and then read by replicas that were just
// started.
type kmsCount struct {
	Objects  int     `json:"objects"`
	Buckets  int     `json:"buckets"`
	Replicas int     `json:"replicas"`
	Window   bool    `json:"window"` // the default; else each object's key is the KMS's business
	Writing  float64 `json:"writing"`
	Reading  float64 `json:"reading"`
}

// writingCalls are those that the formula gives: a window for each bucket and replica that has
// something to write.
func (k kmsCount) writingCalls(perWindow int) float64 {
	if !k.Window {
		return float64(k.Objects)
	}
	return float64(k.windows(perWindow))
}

// readingCalls are a call of each replica for each window that it meets, of whichever replica.
func (k kmsCount) readingCalls(perWindow int) float64 {
	if !k.Window {
		return float64(k.Objects)
	}
	return float64(k.met(perWindow))
}

// windows are what objects, sent to buckets and replicas in turn, need.
func (k kmsCount) windows(perWindow int) int {
	pairs := min(k.Objects, k.Buckets*k.Replicas)
	return pairs * int(math.Ceil(float64(k.Objects)/float64(pairs*perWindow)))
}

// met are the pairs of a reader and a window of which it reads an object. Readers take the objects
// in another turn than writers, so that each meets the windows of all.
func (k kmsCount) met(perWindow int) int {
	type pair struct{ reader, bucket, writer, number int }
	seen, written := map[pair]bool{}, map[[2]int]int{}
	for i := range k.Objects {
		bucket, writer := k.place(i)
		at := [2]int{bucket, writer}
		seen[pair{k.reader(i), bucket, writer, written[at] / perWindow}] = true
		written[at]++
	}
	return len(seen)
}

// place is where the i-th object goes, and through which replica.
func (k kmsCount) place(i int) (bucket, replica int) {
	return i % k.Buckets, i / k.Buckets % k.Replicas
}

// reader is who reads it.
func (k kmsCount) reader(i int) int { return i / k.Buckets / k.Replicas % k.Replicas }

const windowObjects = 100_000 // by default

// kmsGrowth writes more and more objects, and reads them cold, and asks /metrics what that cost the
// KMS. The store's part in this is to keep them: it is one in memory.
func kmsGrowth(w *world, a *answers) {
	store := startMemoryStore(w.b)
	for _, window := range []bool{true, false} {
		for _, buckets := range w.settings.kmsBuckets {
			for _, replicas := range w.settings.replicas {
				a.KMS = append(a.KMS, w.countKMS(store, kmsCount{Buckets: buckets, Replicas: replicas, Window: window})...)
				fmt.Printf("window %v, %s, %s\n", window, plural(buckets, "bucket"), plural(replicas, "replica"))
				a.save()
			}
		}
	}
}

// countKMS is of one number of buckets and replicas. Objects are never written twice: each count
// goes on from the one before.
func (w *world) countKMS(store *lab.Store, k kmsCount) (all []kmsCount) {
	st := &stage{store: store}
	set := proxySetting{}
	if !k.Window {
		set.args = []string{"--key-window-objects", "0"}
	}
	var replicas []*subject
	for i := range k.Replicas {
		replicas = append(replicas, w.proxy(st, fmt.Sprint(i), set))
	}
	bucket := func(i int) string { return fmt.Sprintf("/kms-%v-%d-%d-%d", k.Window, k.Buckets, k.Replicas, i) }
	for i := range k.Buckets {
		w.must(replicas[0].do(http.MethodPut, bucket(i), nil))
	}
	path := func(i int) string { in, _ := k.place(i); return fmt.Sprintf("%s/o%d", bucket(in), i) }
	counts := func(do func(i int) error) (calls []float64) {
		done, before := 0, w.kmsCalls(replicas)
		for _, n := range w.settings.kmsObjects {
			w.must(sideBySide(n-done, 8, func(i int) error { return do(done + i) }))
			done = n
			calls = append(calls, w.kmsCalls(replicas)-before)
		}
		return calls
	}
	writing := counts(func(i int) error {
		_, by := k.place(i)
		return replicas[by].do(http.MethodPut, path(i), []byte("x"))
	})
	for _, r := range replicas {
		r.restart()
		r.client.CloseIdleConnections()
	}
	reading := counts(func(i int) error { return replicas[k.reader(i)].do(http.MethodGet, path(i), nil) })
	for i, n := range w.settings.kmsObjects {
		k.Objects, k.Writing, k.Reading = n, writing[i], reading[i]
		all = append(all, k)
	}
	for _, r := range replicas {
		r.process.Kill()
	}
	return all
}

// kmsCalls are calls that wrap or unwrap. Others, which ask for the key's current version, come with
// time and not with objects.
func (w *world) kmsCalls(replicas []*subject) (sum float64) {
	w.b.Helper()
	for _, r := range replicas {
		u, err := r.used()
		w.must(err)
		sum += u.wraps
	}
	return sum
}

func (w *world) must(err error) {
	w.b.Helper()
	if err != nil {
		w.b.Fatal(err)
	}
}

// kmsTable has a line for each number of buckets and replicas, and marks what the formula does not
// give.
func kmsTable(a *answers) string {
	var objects []int
	for _, k := range a.KMS {
		if !slices.Contains(objects, k.Objects) {
			objects = append(objects, k.Objects)
		}
	}
	var b strings.Builder
	b.WriteString("Calls to write so many objects / to read them all after a start. A figure in bold is not what the formula gives.\n\n| window keys | buckets | replicas |")
	for _, n := range objects {
		fmt.Fprintf(&b, " %s |", plural(n, "object"))
	}
	b.WriteString("\n|---|---|---|" + strings.Repeat("---|", len(objects)))
	line := kmsCount{}
	for _, k := range a.KMS {
		if k.Window != line.Window || k.Buckets != line.Buckets || k.Replicas != line.Replicas {
			fmt.Fprintf(&b, "\n| %s | %d | %d |", map[bool]string{true: "default", false: "none"}[k.Window], k.Buckets, k.Replicas)
			line = k
		}
		fmt.Fprintf(&b, " %s / %s |", marked(k.Writing, k.writingCalls(windowObjects)), marked(k.Reading, k.readingCalls(windowObjects)))
	}
	return b.String() + "\n"
}

func marked(got, want float64) string {
	if got != want {
		return fmt.Sprintf("**%.0f**", got)
	}
	return fmt.Sprintf("%.0f", got)
}

func TestTheFormulaOfKMSCalls(t *testing.T) {
	for _, c := range []struct {
		k           kmsCount
		write, read float64
	}{
		{kmsCount{Objects: 1, Buckets: 10, Replicas: 4, Window: true}, 1, 1},
		{kmsCount{Objects: 1000, Buckets: 10, Replicas: 2, Window: true}, 20, 40},
		{kmsCount{Objects: 250_000, Buckets: 1, Replicas: 1, Window: true}, 3, 3},
		{kmsCount{Objects: 1000, Buckets: 10, Replicas: 2}, 1000, 1000},
	} {
		if w, r := c.k.writingCalls(windowObjects), c.k.readingCalls(windowObjects); w != c.write || r != c.read {
			t.Errorf("%+v: %v and %v calls", c.k, w, r)
		}
	}
}
