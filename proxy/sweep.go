package proxy

import (
	"context"
	"time"

	"github.com/s3proxy/s3proxy/proxy/multipart"
)

// sweepEvery is how often a proxy sweeps the buckets that it has seen uploads in.
const sweepEvery = time.Hour

// SweepRound is what one round of SweepUploads did.
type SweepRound = multipart.SweepRound

// Finish waits for work beside requests, which have all been answered, until ctx ends: the records of
// completed uploads are removed.
func (p *Proxy) Finish(ctx context.Context) error { return p.uploads.Finish(ctx) }

// SweepUploads removes the state of uploads that no longer exist, in the buckets in which this
// process has begun or ended some, every hour and not all replicas at once, until ctx ends.
func (p *Proxy) SweepUploads(ctx context.Context) {
	told := p.cfg.ObserveSweep
	if told == nil {
		told = func(SweepRound) {}
	}
	p.uploads.SweepSeen(ctx, p.of, p.sweepEvery, p.sweepGrace, told)
}
