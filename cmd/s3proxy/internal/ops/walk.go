package ops

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
)

// Rate says how fast a command goes through many objects or records.
type Rate struct {
	Concurrency int     // at least 1
	PerSecond   float64 // objects; 0: as fast as possible
}

// walk goes through the objects of a bucket, several at once.
type walk struct {
	Rate
	at       Target
	progress Progress
	// list is one of walker's, bound to a bucket and prefix.
	list func(ctx context.Context, visit func(listed) error) error
}

// each calls do for all objects. An error of do ends the walk: do must note what is wrong with one
// object alone, in the step as well.
func (w *walk) each(ctx context.Context, do func(context.Context, listed) (Step, error)) error {
	total := 0
	if w.progress.Counts() {
		if err := w.list(ctx, func(listed) error { total++; return nil }); err != nil {
			return err
		}
	}
	w.progress.Start(Walk{w.at, "objects", total})
	defer w.progress.Finish()
	limit := rate.NewLimiter(rate.Inf, 1)
	if w.PerSecond > 0 {
		limit = rate.NewLimiter(rate.Limit(w.PerSecond), 1)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(w.Concurrency)
	listing := w.list(ctx, func(found listed) error {
		if err := limit.Wait(ctx); err != nil {
			return err
		}
		group.Go(func() error {
			step, err := do(ctx, found)
			if err == nil {
				w.progress.Add(step)
			}
			return err
		})
		return nil
	})
	if err := group.Wait(); err != nil {
		return err
	}
	return listing
}

// wait pauses for d, or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
