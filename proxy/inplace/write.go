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

// An object is never copied onto itself by the store's CopyObject: beside another writer, MinIO and
// versitygw then mix the new body with the old metadata, and lose acknowledged writes. Instead its
// bytes are read and written again, on the condition that it has not changed.
//
// A client's update gets a newly sealed trailer, and thus a new ETag in the store, like a copy
// under SSE-KMS in S3. With the same ETag, another conditional write in place (a renewal, a second
// update) would not notice this one, and would undo it.

// Write writes an object's stored bytes under its own name with the headers and conditions in h:
// with one PUT, which keeps an ETag made from the bytes, or in the parts in which the store keeps
// them. tail, if given, replaces as many bytes at the end, which changes the ETag; a large object
// is then copied inside the store, because MinIO does not let an object be read while it is
// written. dek is nil for plaintext.
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
	return src.writeOver(ctx, h, body, src.Bytes, nil)
}

// withTail reads length stored bytes, the last of which are replaced by tail.
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

// writeOver replaces the object by a body of length stored bytes, with one PUT. sum is the checksum
// that the store gets with it; nil leaves the choice to the upstream client.
func (src *Source) writeOver(ctx context.Context, h http.Header, body io.Reader, length int64, sum *upstream.Checksum) (*s3xml.CopyObjectResult, http.Header, error) {
	req := &upstream.Request{Method: http.MethodPut, Bucket: src.Bucket, Key: src.Key, Header: h, Unsigned: src.Unsigned}
	if length > 0 {
		req.Body, req.Length, req.Checksum = body, length, sum
	}
	resp, err := src.putRechecked(ctx, req)
	if err != nil {
		return nil, nil, src.whyBrokenInPlace(ctx, h, err)
	}
	resp.Body.Close()
	if err := upstream.Acknowledged(resp.Header); err != nil {
		return nil, nil, err
	}
	return &s3xml.CopyObjectResult{LastModified: time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), ETag: resp.Header.Get("Etag")}, resp.Header, nil
}

// whyBrokenInPlace checks whether the object was replaced, if the store cut the connection instead
// of answering (versitygw 1.8, to a conditional PUT).
func (src *Source) whyBrokenInPlace(ctx context.Context, h http.Header, err error) error {
	if !errors.Is(err, s3err.ServiceUnavailable) || ctx.Err() != nil || h.Get("If-Match") != src.UpstreamETag {
		return err
	}
	if still, asked := src.IsStill(ctx); asked == nil && !still {
		return fmt.Errorf("%w: %w", object.ErrChanged, err)
	}
	return err
}

// IsStill reports whether the object is the one that was read, by the store's ETag.
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
