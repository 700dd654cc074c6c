package inplace

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"

	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// ErrNoConditions says that the store ignores If-Match on writes, so that concurrent writes by
// others could be lost.
var ErrNoConditions = errors.New("the store does not hold a write to its If-Match")

// noETag is an ETag that no object has.
const noETag = `"00000000000000000000000000000000"`

// DemandConditions fails with ErrNoConditions if the store ignores If-Match on a PUT or on
// CompleteMultipartUpload. It probes both once, with a state object that must not be created. Each
// probe has its own name, because others may probe at the same time.
func DemandConditions(ctx context.Context, o *object.Objects, bucket s3name.Bucket) error {
	if o.Upstream.Learned.HonoursIfMatch.Load() {
		return nil
	}
	stateBucket, prefix := o.Place.Of(bucket)
	key, err := o.Place.OwnKey(prefix + "probe-" + rand.Text())
	if err != nil {
		return err
	}
	for _, probe := range []struct {
		what string
		send func(ctx context.Context, o *object.Objects, stateBucket s3name.Bucket, key s3name.Key) (held bool, err error)
	}{
		{"a PUT", probePut},
		{"the end of a multipart upload", probeComplete},
	} {
		held, err := probe.send(ctx, o, stateBucket, key)
		if err != nil {
			return fmt.Errorf("probe whether the store holds %s to its If-Match: %w", probe.what, err)
		}
		if !held {
			why := ErrNoConditions
			if err := o.State().Remove(ctx, stateBucket, key.String()); err != nil { // it may be under a retention, which ends in a minute
				why = fmt.Errorf("%w; %s is left of the probe: %v", ErrNoConditions, key, err)
			}
			return s3err.NotImplemented.WithMessage("The store does not hold %s to its If-Match: an update of an object's metadata could lose a write beside it.", probe.what).Because(why)
		}
	}
	o.Upstream.Learned.HonoursIfMatch.Store(true)
	return nil
}

func probePut(ctx context.Context, o *object.Objects, stateBucket s3name.Bucket, key s3name.Key) (held bool, err error) {
	return heldTo(o.State().Put(ctx, stateBucket, key.String(), &upstream.Request{Bytes: []byte("probe"), Header: http.Header{"If-Match": {noETag}}}))
}

func probeComplete(ctx context.Context, o *object.Objects, stateBucket s3name.Bucket, key s3name.Key) (held bool, err error) {
	u := &upstream.Upload{Client: o.Upstream, Bucket: stateBucket, Key: key}
	finish, err := u.Begin(ctx, state.LockHeaders(ctx, o.Upstream, stateBucket, http.Header{"If-Match": {noETag}}))
	if err != nil {
		return false, err
	}
	defer func() {
		if failed := u.Abandon(ctx, err); failed != nil {
			err = errors.Join(err, failed)
		}
	}()
	part := []byte("p")
	etag, err := u.Part(ctx, 1, &upstream.Request{Bytes: part, Header: http.Header{"Content-Md5": {upstream.ContentMD5(part)}}})
	if err != nil {
		return false, err
	}
	list := s3xml.CompleteUpload{Xmlns: s3xml.Namespace}
	list.Add(1, etag)
	_, _, err = u.Complete(ctx, list, finish)
	return heldTo(err)
}

// heldTo finds out, from the answer to a write with an impossible If-Match, whether the store
// checked it. The store may answer that there is no such object.
func heldTo(err error) (held bool, _ error) {
	status, refused := upstream.Status(err)
	switch {
	case err == nil:
		return false, nil
	case errors.Is(err, s3err.NoSuchBucket), errors.Is(err, s3err.NoSuchUpload):
	case refused && (status == http.StatusPreconditionFailed || status == http.StatusNotFound),
		errors.Is(err, s3err.ConditionalRequestConflict), errors.Is(err, s3err.OperationAborted):
		return true, nil
	}
	return false, err
}
