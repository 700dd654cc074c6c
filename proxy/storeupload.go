package proxy

import (
	"context"
	"net/http"

	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// largePart is how much of a sealed body goes into one part of the store's upload
// when it passes what one PUT may have.
const largePart = 1 << 30

// putStreamed stores a streamed body as an object. It goes up in parts if it is too large for one
// PUT, or if the store cannot see that the end of a body is missing (versitygw would replace the
// object with what it got). The object is of kind single all the same: only the store sees the
// parts.
func (x *exchange) putStreamed(ctx context.Context, req *upstream.Request) (*http.Response, error) {
	if req.Length <= x.proxy.largePut && x.Upstream.ChecksBodies() {
		return x.Upstream.Do(ctx, req)
	}
	u := &upstream.Upload{Client: x.Upstream, Bucket: req.Bucket, Key: req.Key, Unsigned: req.Unsigned}
	return object.PutInParts(ctx, u, req.Header, req.Body, req.Length, x.proxy.largePart)
}
