package proxy

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"
	"golang.org/x/sync/singleflight"

	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3name"
)

// perBucket caches what is looked up of buckets while requests go on: one look at a time of each.
type perBucket[T any] struct {
	look   func(context.Context, *object.Objects, s3name.Bucket) (T, error)
	keep   func(error) bool // whether a failure is cached, too
	wait   time.Duration    // how long an answer waits for a look at most
	known  *expirable.LRU[s3name.Bucket, looked[T]]
	flight singleflight.Group
	// looks are those that ask a store. Whoever names buckets that are none has others made, before
	// he has shown a key: they are no more than this at once.
	looks chan struct{}
	// changes counts what was set, so that an older look does not replace it.
	changes atomic.Int64
}

type looked[T any] struct {
	value T
	err   error
}

// maxLooks bounds how many buckets are looked at at once.
const maxLooks = 32

// errManyLooks says that no look was made. It is never cached.
var errManyLooks = errors.New("too many other buckets are looked at")

func newPerBucket[T any](buckets int, age, wait time.Duration, look func(context.Context, *object.Objects, s3name.Bucket) (T, error), keep func(error) bool) *perBucket[T] {
	return &perBucket[T]{looks: make(chan struct{}, maxLooks), look: look, keep: keep, wait: wait, known: expirable.NewLRU[s3name.Bucket, looked[T]](buckets, nil, age)}
}

// set is for what has just been written.
func (c *perBucket[T]) set(bucket s3name.Bucket, value T) {
	c.changes.Add(1)
	c.known.Add(bucket, looked[T]{value: value})
}

// begin looks while the request goes on; the function that it returns waits for the result.
func (c *perBucket[T]) begin(o *object.Objects, bucket s3name.Bucket) (wait func() (T, error)) {
	if l, ok := c.known.Get(bucket); ok {
		return func() (T, error) { return l.value, l.err }
	}
	done := c.flight.DoChan(bucket.String(), func() (any, error) {
		before := c.changes.Load()
		ctx, cancel := context.WithTimeout(context.Background(), c.wait)
		defer cancel()
		select {
		case c.looks <- struct{}{}:
		case <-ctx.Done():
			return looked[T]{err: errManyLooks}, nil
		}
		var l looked[T]
		l.value, l.err = c.look(ctx, o, bucket)
		<-c.looks
		if c.changes.Load() == before && (l.err == nil || c.keep(l.err)) {
			c.known.Add(bucket, l)
		}
		return l, nil
	})
	return sync.OnceValues(func() (T, error) {
		l := (<-done).Val.(looked[T])
		return l.value, l.err
	})
}
