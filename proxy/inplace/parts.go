package inplace

import (
	"context"
	"errors"
	"fmt"
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

// storeParts are the sizes of the parts in which the store keeps an object, and from which it makes
// the ETag; nil if they are not known. For a client's upload they follow from its trailer. For
// other objects (a large PUT, an earlier copy) the store is asked.
func (src *Source) storeParts(ctx context.Context, dek *envelope.DEK) ([]int64, error) {
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

// uploadedParts are the parts that a client sent, with the trailer as a further part or at the end
// of the last one. It is nil if the number in the ETag does not fit.
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

// askParts asks the store for the size of each part; nil if it does not say.
func (src *Source) askParts(ctx context.Context, count int) (sizes []int64, err error) {
	sum := int64(0)
	for number := range count {
		q := url.Values{"partNumber": {strconv.Itoa(number + 1)}}
		resp, err := src.Upstream.Do(ctx, &upstream.Request{Method: http.MethodHead, Bucket: src.Bucket, Key: src.Key, VersionID: src.Version, Query: q, Header: http.Header{"If-Match": {src.UpstreamETag}}, Unsigned: src.Unsigned})
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

// CopyParts makes an object in the same store from pieces of the source, which do not leave the
// store. Each piece is copied on the condition that the source is still the object that was
// examined. h has the headers of the new object and its conditions, which are checked at the end.
// dek and tail are as in Write.
func (src *Source) CopyParts(ctx context.Context, to *upstream.Client, bucket s3name.Bucket, key s3name.Key, h http.Header, sizes []int64, dek *envelope.DEK, tail []byte) (*s3xml.CopyObjectResult, http.Header, error) {
	if sizes == nil {
		for left := src.Bytes; left > 0; left -= min(left, src.Limits.CopyPart) {
			sizes = append(sizes, min(left, src.Limits.CopyPart))
		}
	}
	sizes, rest := withoutTail(sizes, int64(len(tail)))
	u := &upstream.Upload{Client: to, Bucket: bucket, Key: key, Unsigned: src.Unsigned, BeforeEnd: src.Recheck}
	made, header, err := u.InParts(ctx, h, func(list *s3xml.CompleteUpload) error {
		var offset int64
		for i, size := range sizes {
			var part s3xml.CopyPartResult
			_, err := src.Copy(ctx, to, &upstream.Request{
				Method: http.MethodPut, Bucket: bucket, Key: key, Unsigned: src.Unsigned,
				UploadID: u.ID, Query: url.Values{"partNumber": {strconv.Itoa(i + 1)}},
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
		etag, err := u.Part(ctx, len(sizes)+1, &upstream.Request{Body: body, Length: rest})
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

// withoutTail returns the parts of an object that can be copied if a new tail of so many bytes
// replaces its end, and the size of the part that follows them: the tail, together with the rest of
// the last part if that is too small to be a part.
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

// whyPartRefused explains why the store did not copy a range of the source. A store may notice that
// the object no longer has these bytes before it compares the ETag. Its error then contains a size
// of ciphertext, which clients must not see.
func (src *Source) whyPartRefused(ctx context.Context, err error) error {
	if !errors.Is(err, s3err.InvalidArgument) && !errors.Is(err, s3err.InvalidRange) {
		return err
	}
	switch still, asked := src.IsStill(ctx); {
	case asked != nil:
		return asked
	case !still:
		return fmt.Errorf("%w: %w", object.ErrChanged, err)
	}
	return s3err.ServiceUnavailable.Because(err)
}
