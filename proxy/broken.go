package proxy

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/proxy/s3err"
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
	head := func(key string) (etag string, status int) {
		resp, err := x.Upstream.Do(ctx, &upstream.Request{Method: http.MethodHead, Bucket: x.bucket, Key: key, Unsigned: x.unsigned()})
		if err != nil {
			status, _ := refusedWith(err)
			return "", status
		}
		resp.Body.Close()
		return resp.Header.Get("Etag"), resp.StatusCode
	}
	if _, status := head(""); status == http.StatusNotFound {
		return s3err.NoSuchBucket.With(s3err.Field{Name: "BucketName", Value: x.bucket})
	}
	match, noneMatch := x.r.Header.Get("If-Match"), x.r.Header.Get("If-None-Match")
	if match == "" && noneMatch == "" {
		return err
	}
	etag, status := head(x.key)
	there := status == http.StatusOK
	switch {
	case noneMatch != "" && there && names(noneMatch, etag):
		return s3err.PreconditionFailed.With(s3err.Field{Name: "Condition", Value: "If-None-Match"})
	case match != "" && there && !names(match, etag):
		return s3err.PreconditionFailed.With(s3err.Field{Name: "Condition", Value: "If-Match"})
	case match != "" && status == http.StatusNotFound:
		return s3err.NoSuchKey.With(s3err.Field{Name: "Key", Value: x.key})
	}
	return err
}

// names tells whether a condition's list of ETags has the store's one.
func names(condition, etag string) bool {
	for _, tag := range strings.Split(upstreamETags(condition), ",") {
		if tag = strings.TrimSpace(tag); tag == "*" || strings.Trim(tag, `"`) == strings.Trim(etag, `"`) {
			return true
		}
	}
	return false
}
