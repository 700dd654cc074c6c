package object

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// End is the store's answer to a request for the end of an object.
type End struct {
	Stored *Stored
	Suffix []byte // the object's last bytes; nil if the store ignores suffix ranges
}

// ReadEnd asks for the last n bytes of the object that req names.
func (o *Objects) ReadEnd(ctx context.Context, req *upstream.Request, n int64) (*End, error) {
	req.Header.Set("Range", fmt.Sprintf("bytes=-%d", n))
	resp, err := o.Upstream.Do(ctx, req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	s, err := o.ReadStored(req.Bucket, req.Key, req.Unsigned, resp)
	if err != nil {
		return nil, err
	}
	want := min(s.Bytes, n)
	if s.Meta == nil || want == 0 || resp.ContentLength != want {
		return &End{Stored: s}, nil
	}
	suffix := make([]byte, want)
	if _, err := io.ReadFull(resp.Body, suffix); err != nil {
		return nil, fmt.Errorf("%w: the end: %w", envelope.ErrTruncated, err)
	}
	return &End{Stored: s, Suffix: suffix}, nil
}

// BeginEnd is ReadEnd for the trailer, and returns at once; wait gives the answer. Equal requests that
// come at the same time share one. The store has judged only one of them by it: who takes part needs
// an answer of his own about the object, and OpenEnd compares the two.
func (o *Objects) BeginEnd(ctx context.Context, req *upstream.Request) (wait func() (*End, error)) {
	id := fmt.Sprintf("end %q %q %q %t %q", req.Bucket.String(), req.Key.String(), req.VersionID.String(), req.Unsigned, req.Header)
	return together(ctx, &o.cache.reads, id, func(ctx context.Context) (*End, error) {
		again := *req
		again.Header = req.Header.Clone()
		return o.ReadEnd(ctx, &again, envelope.TrailerGuess)
	})
}

// OpenEnd opens the trailer of s in the end that was read, which must be of the same state.
func (o *Objects) OpenEnd(ctx context.Context, s *Stored, dek *envelope.DEK, e *End) (*envelope.Trailer, error) {
	if e.Stored.Meta == nil || !s.SameAs(e.Stored) || s.UpstreamETag != e.Stored.UpstreamETag || s.Bytes != e.Stored.Bytes {
		return nil, ErrReplaced
	}
	if t, ok := o.SeenTrailer(s); ok {
		return t, nil
	}
	if e.Suffix == nil {
		return o.Trailer(ctx, s, dek)
	}
	t, err := dek.OpenTrailer(s.Meta.Kind, s.Bytes, e.Suffix)
	if more := (*envelope.NeedMore)(nil); errors.As(err, &more) {
		return o.Trailer(ctx, s, dek)
	}
	if err != nil {
		return nil, err
	}
	return t, o.prove(s, t)
}

const (
	// togetherFor is how long a read is shared at most. The end of an object comes in far less, unless
	// the store is in trouble.
	togetherFor = 10 * time.Second
	// leftFor is how long a read goes on without the request that began it: no limit on requests counts
	// it any more.
	leftFor = time.Second
	// maxLeft is how many such reads there may be at once.
	maxLeft = 64
)

// sharedReads are reads that are under way. The zero value is ready for use.
type sharedReads struct {
	group singleflight.Group
	left  atomic.Int64 // by the request that began them
}

// together begins a read, once for all who ask for the same at the same time; wait gives what came of
// it. The read outlives whoever began it for a moment, so that others seldom fail when his client goes
// away; and whom a shared read fails reads for himself.
func together[T any](ctx context.Context, reads *sharedReads, id string, read func(context.Context) (T, error)) (wait func() (T, error)) {
	done := reads.group.DoChan(id, func() (v any, err error) {
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), togetherFor)
		defer cancel()
		defer context.AfterFunc(ctx, func() { reads.leave(cancel) })()
		defer func() { // singleflight would end the process, as nobody recovers beside a request
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		return read(own)
	})
	return func() (v T, err error) {
		select {
		case r := <-done:
			if r.Err != nil && (r.Shared || errors.Is(r.Err, context.DeadlineExceeded)) {
				return read(ctx)
			}
			v, _ = r.Val.(T)
			return v, r.Err
		case <-ctx.Done():
			return v, ctx.Err()
		}
	}
}

// leave ends a read soon after the request that began it has ended, or at once if there are too many.
func (s *sharedReads) leave(cancel context.CancelFunc) {
	if s.left.Add(1) > maxLeft {
		s.left.Add(-1)
		cancel()
		return
	}
	time.AfterFunc(leftFor, func() {
		s.left.Add(-1)
		cancel()
	})
}
