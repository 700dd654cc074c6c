package kms

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/singleflight"
)

// defaultTimeout bounds one exchange with the KMS and the record's store.
const defaultTimeout = 30 * time.Second

// timeout is how long one exchange with the KMS and the record's store may take.
type timeout time.Duration

// bound runs f with a deadline. If this deadline ends f, and not the caller's, the error is
// ErrUnavailable: a context error would mean that the caller itself gave up.
func (t timeout) bound(ctx context.Context, f func(context.Context) error) error {
	inner, cancel := context.WithTimeout(ctx, time.Duration(t))
	defer cancel()
	err := f(inner)
	if errors.Is(err, context.DeadlineExceeded) && inner.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("%w: no answer within %v", ErrUnavailable, time.Duration(t))
	}
	return err
}

// flights runs one load per name at a time. Callers that ask for the same name meanwhile
// share its result.
type flights[T any] struct {
	timeout timeout
	group   singleflight.Group
}

// do waits for the load of name, starting one if none is running, but no longer than ctx lasts. The
// load goes on when the caller that started it gives up, because others may be waiting for it; it
// ends after the timeout.
func (f *flights[T]) do(ctx context.Context, name string, load func(context.Context) (T, error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	detached := context.WithoutCancel(ctx)
	done := f.group.DoChan(name, func() (any, error) {
		var loaded T
		err := f.timeout.bound(detached, func(ctx context.Context) (err error) {
			loaded, err = load(ctx)
			return err
		})
		return loaded, err
	})
	select {
	case <-ctx.Done():
		return none, ctx.Err()
	case r := <-done:
		if r.Err != nil {
			return none, r.Err
		}
		return r.Val.(T), nil
	}
}
