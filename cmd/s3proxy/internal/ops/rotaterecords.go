package ops

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/state"
)

// records is one pass over a bucket's window records.
func (r *rotation) records(ctx context.Context, b *Bucket, to *kms.Rewrapping) (*Rotated, error) {
	found := &Rotated{Outcome: r.outcome(r.at), KEK: to.KEK(), Failed: Reasons{}}
	var ids []string
	if err := b.Records.List(ctx, b.Origin, func(l state.ListedRecord) error { ids = append(ids, l.ID); return nil }); err != nil {
		return nil, err
	}
	found.Records = len(ids)
	r.Progress.Start(Walk{Target{Bucket: b.Name}, "records", len(ids)})
	defer r.Progress.Finish()
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(r.Rate.Concurrency)
	for _, id := range ids {
		group.Go(func() error {
			outcome, err := r.record(ctx, b, to, id)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			mu.Lock()
			defer mu.Unlock()
			r.Progress.Add(Step{Failed: err != nil})
			switch {
			case err != nil:
				found.Failed[Item{Record: id}] = err.Error()
				r.Log.Warn("a window record was left as it is", "bucket", b.Name, "record", id, "error", err)
			case outcome == recordRewrapped:
				found.Rewrapped++
			case outcome == recordCurrent:
				found.Current++
			case outcome == recordLeft:
				found.Left++
			case outcome == recordGone:
				found.Records--
			}
			return nil
		})
	}
	return found, group.Wait()
}

type recordOutcome int

const (
	recordRewrapped recordOutcome = iota
	recordCurrent
	recordLeft
	recordGone
)

// maxRaces bounds how often to look again at a record that another rotation changes.
const maxRaces = 5

// record rewraps one record. Another rotation may do the same at the same time.
func (r *rotation) record(ctx context.Context, b *Bucket, to *kms.Rewrapping, id string) (outcome recordOutcome, err error) {
	for range maxRaces {
		if outcome, err = r.tryRecord(ctx, b, to, id); !errors.Is(err, state.ErrRaced) {
			break
		}
	}
	return outcome, err
}

func (r *rotation) tryRecord(ctx context.Context, b *Bucket, to *kms.Rewrapping, id string) (recordOutcome, error) {
	old, etag, err := b.Records.Read(ctx, b.Origin, id)
	if errors.Is(err, kms.ErrNoRecord) {
		return recordGone, nil
	}
	if err != nil {
		return 0, err
	}
	kek, err := kms.RecordKEK(old)
	if err != nil {
		return 0, err
	}
	if !r.isFrom(kek) && kek != to.KEK() {
		return recordLeft, nil
	}
	fresh, _, changed, err := to.Record(ctx, b.Origin, id, old)
	if err != nil {
		return 0, err
	}
	if !changed {
		return recordCurrent, nil
	}
	if r.DryRun {
		return recordRewrapped, nil
	}
	return recordRewrapped, b.Records.Replace(ctx, b.Origin, id, etag, fresh)
}
