package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// An object is never copied onto itself by the store's CopyObject: with a writer
// beside it MinIO and versitygw then mix the new body with the old metadata, and lose
// acknowledged writes. Its bytes are read and written again, on the condition that it
// is still the one that was read.

// inPlace is a client's update of an object's metadata: a copy onto itself.
func (c *copying) inPlace(ctx context.Context) error {
	if c.update {
		if err := c.demandConditions(ctx); err != nil {
			return err
		}
	}
	result, header, err := c.renew(ctx)
	if err != nil {
		return err
	}
	return c.answerCopy(ctx, result, header)
}

// renew writes the source's bytes again under its own name, with new metadata: by one
// PUT, which keeps an ETag that is of the bytes, or in the parts that the store has
// them in, which keeps an ETag of parts.
func (c *copying) renew(ctx context.Context) (*copyObjectResult, http.Header, error) {
	dek, err := c.src.openKey(ctx, c.src.stored)
	if err != nil {
		return nil, nil, err
	}
	defer dek.Destroy()
	facts, err := dek.OpenFacts(c.src.meta.Kind, c.src.meta.Facts)
	if err != nil {
		return nil, nil, err
	}
	if c.facts, c.parts, err = c.src.prove(ctx, dek); err != nil {
		return nil, nil, err
	}
	h := c.headers()
	if !c.replaceTags {
		tags, err := c.src.tags(ctx)
		if err != nil {
			return nil, nil, err
		}
		if tags != "" {
			h.Set("X-Amz-Tagging", tags)
		}
	}
	if err := c.wrapFor(ctx, h, dek, c.src.meta.Kind, facts); err != nil {
		return nil, nil, err
	}
	// An old version is a new write; the current one must be the one that was read.
	if c.update {
		h.Del("If-None-Match")
		h.Set("If-Match", c.src.etag)
	} else if _, err := c.resolveConditions(ctx, h); err != nil {
		return nil, nil, err
	}
	if strings.Contains(c.src.etag, "-") || c.src.bytes > maxCopySource {
		sizes, err := c.src.storeParts(ctx, dek)
		if err != nil {
			return nil, nil, err
		}
		return c.copyParts(ctx, h, sizes)
	}
	req := &upstream.Request{Method: http.MethodPut, Bucket: c.bucket, Key: c.key, Header: h, Unsigned: c.unsigned()}
	if c.src.bytes > 0 {
		body, err := c.src.getRange(ctx, c.src.stored, 0, c.src.bytes)
		if err != nil {
			return nil, nil, err
		}
		defer body.Body.Close()
		req.Body, req.Length = body.Body, c.src.bytes
	}
	resp, err := c.Upstream.Do(ctx, req)
	if err != nil {
		return nil, nil, c.whyBrokenInPlace(ctx, err)
	}
	resp.Body.Close()
	return &copyObjectResult{LastModified: time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), ETag: resp.Header.Get("Etag")}, resp.Header, nil
}

// whyBrokenInPlace asks whether the object was replaced when the store cut the
// connection instead of answering (versitygw 1.8, to a conditional PUT).
func (c *copying) whyBrokenInPlace(ctx context.Context, err error) error {
	if !errors.Is(err, s3err.ServiceUnavailable) || ctx.Err() != nil {
		return err
	}
	s, statErr := c.statObject(ctx, "")
	if c.update && statErr == nil && s.etag != c.src.etag {
		return fmt.Errorf("%w: %w", errChanged, err)
	}
	return err
}

// storeParts are the sizes of the parts that the store has an object in, which its
// ETag is made of: what its client sent, with the trailer behind, alone or with the
// last part. nil when the count in the ETag says that they are others.
func (src *copySource) storeParts(ctx context.Context, dek *envelope.DEK) ([]int64, error) {
	if src.meta.Kind != envelope.KindMultipart {
		return nil, nil
	}
	t, err := src.trailer(ctx, src.stored, dek)
	if err != nil {
		return nil, err
	}
	var sizes []int64
	left := src.bytes
	for _, p := range t.Parts {
		sizes = append(sizes, envelope.StoredPartSize(p.Size))
		left -= envelope.StoredPartSize(p.Size)
	}
	_, count, _ := strings.Cut(strings.Trim(src.etag, `"`), "-")
	switch count {
	case strconv.Itoa(len(sizes)):
		sizes[len(sizes)-1] += left
	case strconv.Itoa(len(sizes) + 1):
		sizes = append(sizes, left)
	default:
		return nil, nil
	}
	return sizes, nil
}

// copyPartSize is how much one UploadPartCopy moves where the object's own parts are
// not known.
const copyPartSize = 1 << 30

// copyParts makes the object of pieces of the source, which do not leave the store;
// each is of the very source that was looked at. h are the headers of the new object,
// with its conditions; those are for the end.
func (c *copying) copyParts(ctx context.Context, h http.Header, sizes []int64) (result *copyObjectResult, header http.Header, err error) {
	if sizes == nil {
		for left := c.src.bytes; left > 0; left -= min(left, copyPartSize) {
			sizes = append(sizes, min(left, copyPartSize))
		}
	}
	conditions := http.Header{}
	for _, name := range writeConditions {
		if v := h.Values(name); len(v) > 0 {
			conditions[name] = v
		}
		h.Del(name)
	}
	var begun createResult
	if _, err := c.getXML(ctx, &upstream.Request{Method: http.MethodPost, Bucket: c.bucket, Key: c.key, Query: url.Values{"uploads": {""}}, Header: h, Unsigned: c.unsigned()}, &begun); err != nil {
		return nil, nil, err
	}
	u := &upload{objects: c.objects, bucket: c.bucket, key: c.key, id: begun.UploadID, unsigned: c.unsigned()}
	defer func() {
		if err != nil {
			c.abandon(u)
		}
	}()
	list := completeRequest{Xmlns: s3Namespace}
	var offset int64
	for i, size := range sizes {
		var part copyPartResult
		_, err := c.getXML(ctx, &upstream.Request{
			Method: http.MethodPut, Bucket: c.bucket, Key: c.key, Unsigned: c.unsigned(),
			Query: url.Values{"partNumber": {strconv.Itoa(i + 1)}, "uploadId": {u.id}},
			Header: http.Header{
				"X-Amz-Copy-Source":          {c.src.upstreamName()},
				"X-Amz-Copy-Source-Range":    {fmt.Sprintf("bytes=%d-%d", offset, offset+size-1)},
				"X-Amz-Copy-Source-If-Match": {c.src.etag},
			},
		}, &part)
		if err != nil {
			return nil, nil, fmt.Errorf("copy a part: %w", err)
		}
		list.add(i+1, strings.Trim(part.ETag, `"`))
		offset += size
	}
	made, header, err := u.finish(ctx, list, conditions)
	if err != nil {
		return nil, nil, err
	}
	return &copyObjectResult{LastModified: time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), ETag: made.ETag}, header, nil
}

// conditional remembers which stores hold a PUT to its If-Match.
var conditional sync.Map // *upstream.Client -> bool

// demandConditions refuses where the store does not hold a PUT to its If-Match: a
// write beside ours would be lost. It is asked once, with an object of our own.
func (c *copying) demandConditions(ctx context.Context) error {
	if holds, ok := conditional.Load(c.Upstream); ok && holds.(bool) {
		return nil
	}
	stateBucket, prefix := c.state.Of(c.bucket)
	probe := &upstream.Request{
		Method: http.MethodPut, Bucket: stateBucket, Key: prefix + "probe", Bytes: []byte("probe"),
		Header: http.Header{"If-Match": {`"00000000000000000000000000000000"`}},
	}
	resp, err := c.Upstream.Do(ctx, probe)
	if err == nil {
		resp.Body.Close()
		if err := c.removeState(ctx, stateBucket, probe.Key); err != nil {
			return err
		}
		return s3err.NotImplemented.WithMessage("The store does not hold a PUT to its If-Match: an update of an object's metadata could lose a write beside it.")
	}
	if status, refused := refusedWith(err); !refused || status != http.StatusPreconditionFailed && status != http.StatusNotFound || errors.Is(err, s3err.NoSuchBucket) {
		return err
	}
	conditional.Store(c.Upstream, true)
	return nil
}
