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

// whyBroken looks for the refusal behind an upload whose connection the store
// closed. A store may refuse a PUT before it has read the body (versitygw 1.8
// says 100 first, whatever will come) and close; its answer is then lost under
// the reset of the connection. What it refuses so early can be asked for: the
// bucket is not there, or a condition does not hold. Anything else stays err.
func (x *exchange) whyBroken(err error) error {
	if !errors.Is(err, s3err.ServiceUnavailable) || x.r.Context().Err() != nil {
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
