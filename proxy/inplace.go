package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
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

// inPlace is a client's update of an object's metadata: a copy onto itself.
func (c *copying) inPlace(ctx context.Context) error {
	if c.update {
		if err := demandConditions(ctx, c.Objects, c.bucket); err != nil {
			return err
		}
	}
	result, header, err := c.renew(ctx)
	if err != nil {
		return err
	}
	return c.answerCopy(result, header)
}

// renew writes the source's bytes again under its own name, with new metadata: by one
// PUT, which keeps an ETag that is of the bytes, or in the parts that the store has
// them in, which keeps an ETag of parts.
func (c *copying) renew(ctx context.Context) (*s3xml.CopyObjectResult, http.Header, error) {
	dek, facts, err := c.src.Unlock(ctx, c.src.Stored)
	if err != nil {
		return nil, nil, err
	}
	defer dek.Destroy()
	t, err := c.prove(ctx, dek, facts)
	if err != nil {
		return nil, nil, err
	}
	h := c.headers()
	if err := c.copyTags(ctx, h); err != nil {
		return nil, nil, err
	}
	if err := c.wrapFor(ctx, h, dek, c.src.Meta.Kind, facts); err != nil {
		return nil, nil, err
	}
	// An old version is a new write; the current one must be the one that was read.
	if c.update {
		h.Del("If-None-Match")
		h.Set("If-Match", c.src.UpstreamETag)
	} else if _, err := c.resolveConditions(ctx, h); err != nil {
		return nil, nil, err
	}
	var tail []byte
	if c.update && t != nil {
		if tail, err = dek.SealTrailer(t); err != nil {
			return nil, nil, err
		}
	}
	return c.src.writeAgain(ctx, dek, h, tail)
}

// writeAgain writes an object's stored bytes under its own name with the headers h, their
// conditions among them: by one PUT, which keeps an ETag that is of the bytes, or in the
// parts that the store has them in. tail, if there is one, takes the place of as many
// bytes at the end: the ETag is another one then, and a large object is copied inside the
// store, which need not let it be read while it is written (MinIO). dek is nil for plaintext.
func (src *copySource) writeAgain(ctx context.Context, dek *envelope.DEK, h http.Header, tail []byte) (*s3xml.CopyObjectResult, http.Header, error) {
	if strings.Contains(src.UpstreamETag, "-") || src.Bytes > maxCopySource || tail != nil && src.Bytes > heldBody {
		sizes, err := src.storeParts(ctx, dek)
		if err != nil {
			return nil, nil, err
		}
		return src.copyParts(ctx, src.Upstream, src.Bucket, src.Key, h, sizes, dek, tail)
	}
	body, err := src.withTail(ctx, dek, 0, src.Bytes, tail)
	if err != nil {
		return nil, nil, err
	}
	defer body.Close()
	return src.writeOver(ctx, h, body, src.Bytes)
}

// withTail reads stored bytes, length of them, with tail in the place of the last.
func (src *copySource) withTail(ctx context.Context, dek *envelope.DEK, offset, length int64, tail []byte) (io.ReadCloser, error) {
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
func (src *copySource) writeOver(ctx context.Context, h http.Header, body io.Reader, length int64) (*s3xml.CopyObjectResult, http.Header, error) {
	req := &upstream.Request{Method: http.MethodPut, Bucket: src.Bucket, Key: src.Key, Header: h, Unsigned: src.unsigned}
	if length > 0 {
		req.Body, req.Length = body, length
	}
	resp, err := src.putLate(ctx, req)
	if err != nil {
		return nil, nil, src.whyBrokenInPlace(ctx, h, err)
	}
	resp.Body.Close()
	return &s3xml.CopyObjectResult{LastModified: time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), ETag: resp.Header.Get("Etag")}, resp.Header, nil
}

// whyBrokenInPlace asks whether the object was replaced when the store cut the
// connection instead of answering (versitygw 1.8, to a conditional PUT).
func (src *copySource) whyBrokenInPlace(ctx context.Context, h http.Header, err error) error {
	if !errors.Is(err, s3err.ServiceUnavailable) || ctx.Err() != nil || h.Get("If-Match") != src.UpstreamETag {
		return err
	}
	if still, asked := src.isStill(ctx); asked == nil && !still {
		return fmt.Errorf("%w: %w", object.ErrChanged, err)
	}
	return err
}

// whyPartRefused is for a range of the source that the store would not copy. It may find
// that an object has no such bytes (any more) before it compares the ETag, and says so with
// a size of ciphertext, which is nothing for a client.
func (src *copySource) whyPartRefused(ctx context.Context, err error) error {
	if !errors.Is(err, s3err.InvalidArgument) && !errors.Is(err, s3err.InvalidRange) {
		return err
	}
	switch still, asked := src.isStill(ctx); {
	case asked != nil:
		return asked
	case !still:
		return fmt.Errorf("%w: %w", object.ErrChanged, err)
	}
	return s3err.ServiceUnavailable.Because(err)
}

// isStill tells whether the object is the one that was read, by the store's ETag.
func (src *copySource) isStill(ctx context.Context) (bool, error) {
	resp, err := src.Upstream.Do(ctx, &upstream.Request{Method: http.MethodHead, Bucket: src.Bucket, Key: src.Key, VersionID: src.asked, Unsigned: src.unsigned})
	if upstream.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	resp.Body.Close()
	return resp.Header.Get("Etag") == src.UpstreamETag, nil
}

// storeParts are the sizes of the parts that the store has an object in, which its ETag is
// made of; nil where nothing tells them. Those of a client's upload follow from its trailer,
// the others (a large PUT, an earlier copy) the store is asked for.
func (src *copySource) storeParts(ctx context.Context, dek *envelope.DEK) ([]int64, error) {
	_, text, _ := strings.Cut(strings.Trim(src.UpstreamETag, `"`), "-")
	count, err := strconv.Atoi(text)
	if err != nil || count < 1 || count > envelope.MaxParts {
		return nil, nil
	}
	if src.Meta != nil && src.Meta.Kind == envelope.KindMultipart {
		t, err := src.Trailer(ctx, src.Stored, dek)
		if err != nil {
			return nil, err
		}
		if sizes := uploadedParts(t, src.Bytes, count); sizes != nil {
			return sizes, nil
		}
	}
	return src.askParts(ctx, count)
}

// uploadedParts are what a client sent, with the trailer behind: alone or with the last
// part. nil when the count in the ETag says that they are others.
func uploadedParts(t *envelope.Trailer, stored int64, count int) (sizes []int64) {
	for _, p := range t.Parts {
		sizes = append(sizes, envelope.StoredPartSize(p.Size))
		stored -= envelope.StoredPartSize(p.Size)
	}
	switch count {
	case len(sizes):
		sizes[len(sizes)-1] += stored
	case len(sizes) + 1:
		sizes = append(sizes, stored)
	default:
		return nil
	}
	return sizes
}

// askParts asks the store for the size of each part; nil where it does not tell.
func (src *copySource) askParts(ctx context.Context, count int) (sizes []int64, err error) {
	sum := int64(0)
	for number := range count {
		q := url.Values{"partNumber": {strconv.Itoa(number + 1)}}
		resp, err := src.Upstream.Do(ctx, &upstream.Request{Method: http.MethodHead, Bucket: src.Bucket, Key: src.Key, VersionID: src.Version, Query: q, Header: http.Header{"If-Match": {src.UpstreamETag}}, Unsigned: src.unsigned})
		if errors.Is(err, s3err.PreconditionFailed) {
			return nil, fmt.Errorf("%w: %w", object.ErrChanged, err)
		}
		if _, refused := upstream.Status(err); refused && !errors.Is(err, s3err.ServiceUnavailable) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		resp.Body.Close()
		sizes, sum = append(sizes, resp.ContentLength), sum+resp.ContentLength
	}
	if sum != src.Bytes {
		return nil, nil
	}
	return sizes, nil
}

// copyPartSize is how much one UploadPartCopy moves where the object's own parts are
// not known.
var copyPartSize int64 = 1 << 30 // a test lowers it

// copyParts makes an object of to, in the same store, of pieces of the source, which do not
// leave the store; each is of the very source that was looked at. h are the headers of the
// new object, with its conditions; those are for the end. dek and tail are as in writeAgain.
func (src *copySource) copyParts(ctx context.Context, to *upstream.Client, bucket s3name.Bucket, key s3name.Key, h http.Header, sizes []int64, dek *envelope.DEK, tail []byte) (*s3xml.CopyObjectResult, http.Header, error) {
	if sizes == nil {
		for left := src.Bytes; left > 0; left -= min(left, copyPartSize) {
			sizes = append(sizes, min(left, copyPartSize))
		}
	}
	sizes, rest := withoutTail(sizes, int64(len(tail)))
	u := &storeUpload{client: to, bucket: bucket, key: key, unsigned: src.unsigned, lastLook: src.lastLook}
	made, header, err := u.inParts(ctx, h, func(list *s3xml.CompleteUpload) error {
		var offset int64
		for i, size := range sizes {
			var part s3xml.CopyPartResult
			_, err := to.GetXML(ctx, &upstream.Request{
				Method: http.MethodPut, Bucket: bucket, Key: key, Unsigned: src.unsigned,
				UploadID: u.id, Source: src.source(), Query: url.Values{"partNumber": {strconv.Itoa(i + 1)}},
				Header: http.Header{
					"X-Amz-Copy-Source-Range":    {fmt.Sprintf("bytes=%d-%d", offset, offset+size-1)},
					"X-Amz-Copy-Source-If-Match": {src.UpstreamETag},
				},
			}, &part)
			if err != nil {
				return fmt.Errorf("copy a part: %w", src.whyPartRefused(ctx, err))
			}
			list.Add(i+1, strings.Trim(part.ETag, `"`))
			offset += size
		}
		if rest == 0 {
			return nil
		}
		body, err := src.withTail(ctx, dek, offset, rest, tail)
		if err != nil {
			return err
		}
		defer body.Close()
		etag, err := u.sendUpstream(ctx, len(sizes)+1, &upstream.Request{Body: body, Length: rest})
		if err != nil {
			return fmt.Errorf("write the last part: %w", err)
		}
		list.Add(len(sizes)+1, etag)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return &s3xml.CopyObjectResult{LastModified: time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), ETag: made.ETag}, header, nil
}

// withoutTail gives what of an object's parts can be copied when a new tail of so many
// bytes takes the place of its end, and how many bytes the part behind them has: the tail,
// with what is left of the last part where that is too small for a part of its own.
func withoutTail(sizes []int64, tail int64) (copied []int64, rest int64) {
	rest = tail
	copied = slices.Clone(sizes)
	for n := len(copied) - 1; n >= 0 && tail > 0; n-- {
		cut := min(copied[n], tail)
		copied[n], tail = copied[n]-cut, tail-cut
		switch {
		case copied[n] == 0:
			copied = copied[:n]
		case copied[n] < envelope.MinPartSize || n+1 == envelope.MaxParts:
			rest += copied[n]
			copied = copied[:n]
		}
	}
	return copied, rest
}
