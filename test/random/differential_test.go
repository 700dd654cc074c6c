package random

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/s3proxy/s3proxy/test/lab"
)

// The kinds of buckets that sequences run in.
const (
	plainBucket     = "plain"
	versionedBucket = "versioned"
	lockedBucket    = "locked"
)

// stepsEach is the average number of calls in a sequence.
const stepsEach = 40

// differentialSteps is the number of random calls in each mode, over all kinds of buckets of a
// store: S3PROXY_TEST_STEPS, or a few.
func differentialSteps(t *testing.T, otherwise int) int {
	t.Helper()
	set := os.Getenv("S3PROXY_TEST_STEPS")
	if set == "" {
		return otherwise
	}
	n, err := strconv.Atoi(set)
	if err != nil {
		t.Fatalf("S3PROXY_TEST_STEPS: %v", err)
	}
	return n
}

// rapidFlags sets rapid's flags, unless the command line has them. In make test, the seed is always
// the same; longer runs use a new seed, which is printed.
var rapidFlags = sync.OnceFunc(func() {
	given := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	seed := uint32(842499193)
	if os.Getenv("S3PROXY_TEST_STEPS") != "" {
		seed = rand.Uint32() | 1
	}
	for name, value := range map[string]string{
		"rapid.seed":       fmt.Sprint(seed),
		"rapid.steps":      fmt.Sprint(stepsEach),
		"rapid.nofailfile": "true",
	} {
		if !given[name] {
			flag.Set(name, value)
		}
	}
})

// TestRandomCallsGetTheAnswersOfTheStore sends one random sequence of S3 calls directly to a store
// and through a proxy in each ETag mode, and compares everything that comes back.
func TestRandomCallsGetTheAnswersOfTheStore(t *testing.T) {
	if lab.Direct {
		t.Skip("it compares the two by itself")
	}
	t.Parallel()
	for _, store := range []struct {
		name  string
		start func(testing.TB) *lab.Store
		steps int // in make test, for each kind of bucket
		kinds []string
	}{
		{lab.OnMinIO, lab.SharedMinIO, 160, []string{plainBucket, versionedBucket, lockedBucket}},
		{lab.OnVersitygw, lab.VersitygwForSuite, 40, []string{plainBucket, versionedBucket, lockedBucket}},
	} {
		t.Run(store.name, func(t *testing.T) {
			t.Parallel()
			sides := newSides(t, store.start(t), store.name)
			rapidFlags()
			sequences := max(1, differentialSteps(t, store.steps*len(store.kinds))/len(store.kinds)/stepsEach)
			flag.Set("rapid.checks", fmt.Sprint(sequences))
			t.Logf("%d sequences in each kind of bucket, -rapid.seed=%s", sequences, flag.Lookup("rapid.seed").Value)
			t.Cleanup(func() { t.Log(sides.seen) })
			for _, kind := range store.kinds {
				t.Run(kind, func(t *testing.T) {
					rapid.Check(t, func(rt *rapid.T) { newSequence(t, rt, sides, kind).run() })
				})
			}
		})
	}
}

// run makes calls until one of them leaves the sides in different states.
func (q *sequence) run() {
	var drawn []func()
	for _, op := range q.operations() {
		drawn = append(drawn, slices.Repeat([]func(){op.do}, op.weight)...)
	}
	uniform := rapid.SliceOfN(rapid.Bool(), 10, 10) // rapid draws small indexes too often
	q.t.Repeat(map[string]func(*rapid.T){"step": func(t *rapid.T) {
		q.t = t
		if q.apart {
			return
		}
		q.seen.step()
		at := 0
		for _, bit := range uniform.Draw(t, "operation") {
			if at *= 2; bit {
				at++
			}
		}
		drawn[at%len(drawn)]()
	}})
}

type operation struct {
	weight int
	do     func()
}

// operations are the calls in sequences, and how often each is drawn.
func (q *sequence) operations() []operation {
	all := []operation{
		{12, q.putObject}, {12, q.getObject}, {6, q.headObject}, {5, q.deleteObject}, {2, q.deleteObjects}, {8, q.copyObject}, {3, q.getAttributes},
		{4, q.listObjects}, {4, q.listObjectsV2}, {4, q.listVersions}, {4, q.wholeList},
		{4, q.createUpload}, {8, q.uploadPart}, {3, q.uploadPartCopy}, {5, q.complete}, {1, q.abort}, {3, q.listParts}, {3, q.listUploads},
		{2, q.putTagging}, {2, q.getTagging}, {1, q.deleteTagging}, {1, q.ofTheBucket},
	}
	switch q.kind {
	case versionedBucket:
		all = append(all, operation{1, q.putVersioning})
	case lockedBucket:
		all = append(all, operation{2, q.putRetention}, operation{2, q.putLegalHold}, operation{2, q.getLocks})
	}
	return all
}
