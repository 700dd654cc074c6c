package multipart

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// A client that ended an upload of thousands of parts does not wait until their records are gone:
// MinIO takes a millisecond for each. What a process that ends leaves of them is swept.
const (
	// removedAtOnce is of how many state objects an upload may have left that the client waits.
	removedAtOnce = 100
	// removalsBeside limits how many uploads' records are removed without a client that waits.
	removalsBeside = 4
	// removalTime is far below DefaultGrace: a sweep does not meet a removal that is under way.
	removalTime = 10 * time.Minute
)

// removals are under way beside requests.
type removals struct {
	atOnce int
	slots  *semaphore.Weighted
	all    sync.WaitGroup
}

func newRemovals() *removals {
	return &removals{atOnce: removedAtOnce, slots: semaphore.NewWeighted(removalsBeside)}
}

// removeState removes the state of an upload that became the object; a later sweep removes what is
// left of it. When it returns without a warning, the upload's key is gone, so that no replica knows the
// upload any more.
func (c *completion) removeState(ctx context.Context) {
	defer c.all.states.Remove(c.name())
	stateBucket, folder := c.folder()
	whole, err := c.State().RemoveFew(ctx, stateBucket, folder, c.all.removals.atOnce)
	if err == nil && !whole {
		err = c.removeMany(ctx)
	}
	c.leftBy(err)
}

// removeMany removes the key, and the records beside the client's request, if not too many others
// are being removed.
func (c *completion) removeMany(ctx context.Context) error {
	r := c.all.removals
	if !r.slots.TryAcquire(1) {
		return c.removeRecords(ctx)
	}
	if err := c.removeKey(ctx); err != nil {
		r.slots.Release(1)
		return err
	}
	u := c.Upload // not the client's document
	r.all.Go(func() {
		defer r.slots.Release(1)
		ctx, cancel := context.WithTimeout(context.Background(), removalTime) // the request ends before
		defer cancel()
		u.leftBy(u.removeRecords(ctx))
	})
	return nil
}

// leftBy tells of a removal that failed.
func (u *Upload) leftBy(err error) {
	if err != nil {
		u.warn("what is left of a completed upload is swept later", during(stepRemoveRecords, err))
	}
}

// Finish waits until nothing is removed beside requests any more, or until ctx ends. No Complete may
// be running.
func (a *Uploads) Finish(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		a.removals.all.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
