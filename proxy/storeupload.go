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

// putStreamed stores a body that streams as an object. It goes up in parts where it
// passes what one PUT may have, and where the store cannot see that a body lacks its end
// (versitygw keeps what came of a bare one, in the place of the object that was there).
// The object is of kind single all the same: nobody but the store sees the parts.
func (x *exchange) putStreamed(ctx context.Context, req *upstream.Request) (*http.Response, error) {
	if req.Length <= x.largePut && x.Upstream.ChecksBodies() {
		return x.Upstream.Do(ctx, req)
	}
	u := &upstream.Upload{Client: x.Upstream, Bucket: req.Bucket, Key: req.Key, Unsigned: req.Unsigned}
	return object.PutInParts(ctx, u, req.Header, req.Body, req.Length, x.largePart)
}
