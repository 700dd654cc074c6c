package multipart

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// ended removes the state of an upload that has been gone for the grace time. The first call leaves
// a mark, from which that time counts.
func (r *sweepRun) ended(ctx context.Context, folder string) (fate, error) {
	if r.Grace <= 0 {
		return r.remove(ctx, folder)
	}
	since, err := r.marked(ctx, folder)
	if err != nil {
		return undecided, err
	}
	if since >= r.Grace {
		return r.remove(ctx, folder)
	}
	if since >= 0 || r.DryRun {
		return waiting, nil
	}
	req, err := r.objects.State().Request(http.MethodPut, r.stateBucket, folder+goneMark)
	if err != nil {
		return waiting, err
	}
	resp, err := r.Store.Do(ctx, req)
	if err != nil {
		return waiting, during(stepMarkGone, err)
	}
	return waiting, resp.Body.Close()
}

// marked returns how long ago the mark was left, by the store's clock; negative if there is none.
func (r *sweepRun) marked(ctx context.Context, folder string) (time.Duration, error) {
	req, err := r.objects.State().Request(http.MethodHead, r.stateBucket, folder+goneMark)
	if err != nil {
		return 0, err
	}
	resp, err := r.Store.Do(ctx, req)
	if err != nil && upstream.IsNotFound(err) {
		return -1, nil
	}
	if err != nil {
		return 0, err
	}
	resp.Body.Close()
	then, err := http.ParseTime(resp.Header.Get("Last-Modified"))
	if err != nil {
		return 0, fmt.Errorf("%w: the mark's date: %w", upstream.ErrStored, err)
	}
	now, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return max(now.Sub(then), 0), nil
}

// unmark removes the mark, because the upload is back. A listing would not do in place of the
// question: another process may have left the mark since.
func (r *sweepRun) unmark(ctx context.Context, folder string) error {
	since, err := r.marked(ctx, folder)
	if err != nil || since < 0 || r.DryRun {
		return err
	}
	if err := r.objects.State().Remove(ctx, r.stateBucket, folder+goneMark); err != nil {
		return during(stepForgetGone, err)
	}
	return nil
}

// remove deletes the records first and the key last: as long as there is a key, the next sweep
// knows to which upload the folder belongs.
func (r *sweepRun) remove(ctx context.Context, folder string) (fate, error) {
	if !r.DryRun {
		if err := r.objects.State().Remove(ctx, r.stateBucket, folder); err != nil {
			return undecided, err
		}
	}
	return removed, nil
}
