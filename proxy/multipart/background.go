package multipart

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// maxSweptBuckets bounds how many buckets a process remembers for its sweeps.
const maxSweptBuckets = 10_000

// remember has the bucket swept by this process.
func (a *Uploads) remember(bucket s3name.Bucket) {
	a.sweptMu.Lock()
	defer a.sweptMu.Unlock()
	if len(a.swept) < maxSweptBuckets {
		a.swept[bucket] = true
	}
}

// SweepSeen sweeps the buckets in which this process has begun or ended uploads, every so
// often and not all replicas at once, until ctx ends.
func (a *Uploads) SweepSeen(ctx context.Context, objectsOf func(s3name.Bucket) *object.Objects, every, grace time.Duration) {
	for {
		if upstream.Wait(ctx, every/2+rand.N(every)) != nil {
			return
		}
		a.sweptMu.Lock()
		buckets := make([]s3name.Bucket, 0, len(a.swept))
		for b := range a.swept {
			buckets = append(buckets, b)
		}
		a.sweptMu.Unlock()
		for _, b := range buckets {
			o := objectsOf(b)
			s := Sweeper{Store: o.Upstream, Place: o.Place, Grace: grace, Log: a.log}
			found, err := s.Bucket(ctx, b.String())
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				a.log.Warn("a bucket could not be swept", "bucket", b, "error", err)
			} else if found.Removed > 0 {
				a.log.Info("state of uploads that are gone was removed", "bucket", b, "uploads", found.Removed)
			}
		}
	}
}
