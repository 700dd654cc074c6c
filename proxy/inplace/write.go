package inplace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// An object is never copied onto itself by the store's CopyObject: with a writer
// beside it MinIO and versitygw then mix the new body with the old metadata, and lose
// acknowledged writes. Its bytes are read and written again, on the condition that it
// is still the one that was read.
//
// A client's update gets a trailer that is sealed anew, and with it a new ETag of the
// store, as S3 gives one to a copy under SSE-KMS: by the same ETag another conditional
// write in place (a renewal of keys, a second update) could not see that this one was
// there, and would undo it.

// Write writes an object's stored bytes under its own name with the headers h, their
// conditions among them: by one PUT, which keeps an ETag that is of the bytes, or in the
// parts that the store has them in. tail, if there is one, takes the place of as many
// bytes at the end: the ETag is another one then, and a large object is copied inside the
// store, which need not let it be read while it is written (MinIO). dek is nil for plaintext.
func (src *Source) Write(ctx context.Context, dek *envelope.DEK, h http.Header, tail []byte) (*s3xml.CopyObjectResult, http.Header, error) {
	if strings.Contains(src.UpstreamETag, "-") || src.Bytes > src.Limits.CopyObject || tail != nil && src.Bytes > src.Limits.Buffer {
		sizes, err := src.storeParts(ctx, dek)
		if err != nil {
			return nil, nil, err
		}
		return src.CopyParts(ctx, src.Upstream, src.Bucket, src.Key, h, sizes, dek, tail)
	}
	body, err := src.withTail(ctx, dek, 0, src.Bytes, tail)
	if err != nil {
		return nil, nil, err
	}
	defer body.Close()
	return src.writeOver(ctx, h, body, src.Bytes)
}

// withTail reads stored bytes, length of them, with tail in the place of the last.
func (src *Source) withTail(ctx context.Context, dek *envelope.DEK, offset, length int64, tail []byte) (io.ReadCloser, error) {
	body, err := src.Reread(ctx, src.Stored, dek, offset, length-int64(len(tail)))
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(body, bytes.NewReader(tail)), body}, nil
}

// writeOver puts a body of length stored bytes in the object's place, by one PUT.
func (src *Source) writeOver(ctx context.Context, h http.Header, body io.Reader, length int64) (*s3xml.CopyObjectResult, http.Header, error) {
	req := &upstream.Request{Method: http.MethodPut, Bucket: src.Bucket, Key: src.Key, Header: h, Unsigned: src.Unsigned}
	if length > 0 {
		req.Body, req.Length = body, length
	}
	resp, err := src.putRechecked(ctx, req)
	if err != nil {
		return nil, nil, src.whyBrokenInPlace(ctx, h, err)
	}
	resp.Body.Close()
	return &s3xml.CopyObjectResult{LastModified: time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), ETag: resp.Header.Get("Etag")}, resp.Header, nil
}

// whyBrokenInPlace asks whether the object was replaced when the store cut the
// connection instead of answering (versitygw 1.8, to a conditional PUT).
func (src *Source) whyBrokenInPlace(ctx context.Context, h http.Header, err error) error {
	if !errors.Is(err, s3err.ServiceUnavailable) || ctx.Err() != nil || h.Get("If-Match") != src.UpstreamETag {
		return err
	}
	if still, asked := src.IsStill(ctx); asked == nil && !still {
		return fmt.Errorf("%w: %w", object.ErrChanged, err)
	}
	return err
}

// IsStill tells whether the object is the one that was read, by the store's ETag.
func (src *Source) IsStill(ctx context.Context) (bool, error) {
	resp, err := src.Upstream.Do(ctx, &upstream.Request{Method: http.MethodHead, Bucket: src.Bucket, Key: src.Key, VersionID: src.Named, Unsigned: src.Unsigned})
	if upstream.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	resp.Body.Close()
	return resp.Header.Get("Etag") == src.UpstreamETag, nil
}
