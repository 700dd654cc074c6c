package main

import (
	"context"
	"io"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/s3proxy/s3proxy/proxy"
)

// pace says how fast a command goes through many objects or records.
type pace struct {
	concurrency int
	rate        float64 // objects a second; 0: as fast as it goes
}

// walk goes through the objects of a bucket, several at once.
type walk struct {
	pace
	errOut io.Writer // for the progress bar, where it is a terminal
	// list is one of proxy.Walker's, bound to a bucket and prefix.
	list func(ctx context.Context, visit func(proxy.Listed) error) error
}

// each calls do for all objects. An error of do ends the walk: what is wrong with one
// object alone is for do to note.
func (w *walk) each(ctx context.Context, do func(context.Context, proxy.Listed) error) error {
	total := 0
	if isTerminal(w.errOut) { // only the bar needs it
		if err := w.list(ctx, func(proxy.Listed) error { total++; return nil }); err != nil {
			return err
		}
	}
	bar := newBar(w.errOut, total, "objects")
	defer bar.Finish()
	limit := rate.NewLimiter(rate.Inf, 1)
	if w.rate > 0 {
		limit = rate.NewLimiter(rate.Limit(w.rate), 1)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(w.concurrency)
	listing := w.list(ctx, func(found proxy.Listed) error {
		if err := limit.Wait(ctx); err != nil {
			return err
		}
		group.Go(func() error {
			defer bar.Increment()
			return do(ctx, found)
		})
		return nil
	})
	if err := group.Wait(); err != nil {
		return err
	}
	return listing
}
