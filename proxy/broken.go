package proxy

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// explainReset looks for the refusal behind an upload whose connection the store closed. A
// store may refuse a PUT and close before it has read the body (versitygw 1.8 sends 100 first
// whatever follows); the reset of the connection then hides its answer. What a store refuses so
// early can be asked for again: a bucket that does not exist, headers that it does not accept,
// a condition that does not hold. Any other error stays as it is.
func (x *exchange) explainReset(err error) error {
	if !errors.Is(err, upstream.ErrNoAnswer) || x.r.Context().Err() != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), 10*time.Second)
	defer cancel()
	resp, bucketErr := x.Upstream.Do(ctx, &upstream.Request{Method: http.MethodHead, Bucket: x.bucket, Unsigned: x.unsigned()})
	if bucketErr == nil {
		resp.Body.Close()
	}
	if upstream.IsNotFound(bucketErr) {
		return s3err.NoSuchBucket.With(s3err.Field{Name: "BucketName", Value: x.bucket.String()})
	}
	if bucketErr == nil {
		if refused := x.mayBegin(ctx); refused != nil {
			return refused
		}
	}
	match, noneMatch := x.r.Header.Get("If-Match"), x.r.Header.Get("If-None-Match")
	if match == "" && noneMatch == "" {
		return err
	}
	tag, objectErr := x.TagAt(ctx, x.bucket, x.key, s3name.VersionID{}, x.unsigned())
	there := objectErr == nil
	switch {
	case noneMatch != "" && there && tag.IsInWeakly(noneMatch):
		return notMatched("If-None-Match")
	case match != "" && there && !tag.IsIn(match):
		return notMatched("If-Match")
	case match != "" && upstream.IsNotFound(objectErr):
		return s3err.NoSuchKey.With(s3err.Field{Name: "Key", Value: x.key.String()})
	}
	return err
}

// mayBegin asks the store whether it accepts an object with these headers, by starting an
// upload with them, which writes nothing.
func (x *exchange) mayBegin(ctx context.Context) error {
	if x.part > 0 || x.unsigned() {
		return nil
	}
	u := &upstream.Upload{Client: x.Upstream, Bucket: x.bucket, Key: x.key}
	if _, err := u.Begin(ctx, x.passedHeaders()); err != nil {
		if status, refused := upstream.Status(err); refused && status/100 == 4 {
			return err
		}
		return nil
	}
	if err := u.Abandon(ctx, nil); err != nil {
		x.proxy.log.Warn("an upload that asked whether the store takes an object is left there", "bucket", x.bucket, "key", x.key, "error", err)
	}
	return nil
}
