package multipart

import (
	"context"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

const (
	// maxSweptBuckets limits how many buckets a process remembers for its sweeps.
	maxSweptBuckets = 10_000
	// mostInRound limits how many uploads of a bucket one round looks at, so that one bucket does not
	// hold up the others. The next round goes on behind them.
	mostInRound = 100_000
)

// remember makes this process sweep the bucket.
func (a *Uploads) remember(bucket s3name.Bucket) {
	a.sweptMu.Lock()
	defer a.sweptMu.Unlock()
	if _, known := a.swept[bucket]; !known && len(a.swept) < maxSweptBuckets {
		a.swept[bucket] = ""
	}
}

// SweepRound is what one round of SweepSeen did.
type SweepRound struct {
	Buckets int // to be swept
	Removed int // uploads whose state was removed
	Failed  int // uploads, and whole buckets, that could not be swept
}

// SweepState says how far SweepSeen is.
type SweepState struct {
	Bucket   string // being swept; "" if none is
	Done, Of int    // buckets of the round
	Next     time.Time
}

// Sweep returns how far SweepSeen is.
func (a *Uploads) Sweep() SweepState {
	if s := a.sweep.Load(); s != nil {
		return *s
	}
	return SweepState{}
}

// SweepSeen sweeps the buckets in which this process has created or ended uploads, once per
// interval but not at the same time on all replicas, until ctx ends. told is called for each round.
func (a *Uploads) SweepSeen(ctx context.Context, objectsOf func(s3name.Bucket) *object.Objects, every, grace time.Duration, told func(SweepRound)) {
	for {
		wait := every/2 + rand.N(every)
		a.sweep.Store(&SweepState{Next: time.Now().Add(wait)})
		if upstream.Wait(ctx, wait) != nil {
			return
		}
		round := a.sweepSeen(ctx, objectsOf, grace)
		if ctx.Err() != nil {
			return
		}
		told(round)
	}
}

func (a *Uploads) sweepSeen(ctx context.Context, objectsOf func(s3name.Bucket) *object.Objects, grace time.Duration) (round SweepRound) {
	a.sweptMu.Lock()
	buckets := maps.Clone(a.swept)
	a.sweptMu.Unlock()
	for b, after := range buckets {
		a.sweep.Store(&SweepState{Bucket: b.String(), Done: round.Buckets, Of: len(buckets)})
		o := objectsOf(b)
		s := Sweeper{Store: o.Upstream, Place: o.Place, Grace: grace, Log: a.log, SideBySide: sideBySide, Page: a.Page, Most: a.mostInRound, After: after}
		found, err := s.Bucket(ctx, b.String())
		if ctx.Err() != nil {
			return round
		}
		a.sweptMu.Lock()
		a.swept[b] = found.Next
		a.sweptMu.Unlock()
		round.Buckets++
		round.Removed += found.Removed
		round.Failed += found.Failed
		if err != nil {
			round.Failed++
			a.log.Warn("a bucket could not be swept", "bucket", b, "error", err)
		} else if found.Removed > 0 {
			a.log.Info("state of uploads that are gone was removed", "bucket", b, "uploads", found.Removed)
		}
	}
	return round
}
