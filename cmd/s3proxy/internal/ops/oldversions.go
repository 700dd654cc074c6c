package ops

import (
	"context"
	"fmt"
	"sync"

	"github.com/s3proxy/s3proxy/proxy/object"
)

// countOld counts the versions that are not current and that of picks. A rewrite in place leaves them.
// unseen are those that could not be looked at.
func (r *rewrite) countOld(ctx context.Context, of func(*object.Inspection) bool) (count int, unseen Reasons, err error) {
	unseen = Reasons{}
	var mu sync.Mutex
	old := walk{Rate: r.rate, progress: unwatched{}, list: func(ctx context.Context, visit func(listed) error) error {
		return r.walker.OldVersions(ctx, r.bucket, r.prefix, visit)
	}}
	err = old.each(ctx, func(ctx context.Context, l listed) (Step, error) {
		found, err := object.Inspect(ctx, r.walker.Store, r.bucket, l.Key, l.Version)
		gone, err := deletedSince(l, err)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return Step{}, ctx.Err()
		case gone:
		case err != nil:
			if len(unseen) >= maxFailed {
				return Step{}, fmt.Errorf("%w: %w", errTooMany, err)
			}
			unseen[named(l)] = err.Error()
		case of(found):
			count++
		}
		return Step{}, nil
	})
	return count, unseen, err
}

// unseenVersions is the failure of a report with versions that could not be looked at.
func unseenVersions(unseen Reasons) []error {
	if len(unseen) == 0 {
		return nil
	}
	return []error{fmt.Errorf("%d versions that are not current could not be looked at", len(unseen))}
}
