package proxy

import (
	"context"
	"net/http"

	"github.com/s3proxy/s3proxy/proxy/inplace"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// inPlace is a client's update of an object's metadata: a copy onto itself.
func (c *copying) inPlace(ctx context.Context) error {
	if c.update {
		if err := inplace.DemandConditions(ctx, c.Objects, c.bucket); err != nil {
			return err
		}
	}
	result, header, err := c.updateInPlace(ctx)
	if err != nil {
		return err
	}
	return c.answerCopy(result, header)
}

// updateInPlace writes the source's bytes again under its own name, with new metadata: by one
// PUT, which keeps an ETag that is of the bytes, or in the parts that the store has
// them in, which keeps an ETag of parts.
func (c *copying) updateInPlace(ctx context.Context) (*s3xml.CopyObjectResult, http.Header, error) {
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
	return c.src.Write(ctx, dek, h, tail)
}
