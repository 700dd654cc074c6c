package proxy

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/legacy"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// passthroughHeaders are the request headers that make sense only if the store has the object as
// the client sent it: they reach the store for buckets that are not encrypted.
var passthroughHeaders = []string{
	"Content-Md5", "Range", "If-Range", "X-Amz-Mp-Object-Size",
	"X-Amz-Checksum-*", "X-Amz-Metadata-Directive", "X-Amz-Tagging-Directive", "X-Amz-Write-Offset-Bytes",
	"X-Amz-If-Match-Size", "X-Amz-If-Match-Last-Modified-Time",
}

// forwardsPassthrough tells whether a request is forwarded because its bucket is not encrypted:
// those on objects are. Listings, DeleteObjects and calls about the bucket have handlers that
// protect the proxy's own objects and know its region.
func (x *exchange) forwardsPassthrough() bool {
	return x.Passthrough && x.op.scope == onObject && x.op.effect != forwards && x.op.header == ""
}

// forwardPassthrough forwards a request of a bucket that is not encrypted: re-signed, with its body
// verified while it streams. It streams the answer back.
func forwardPassthrough(x *exchange) error {
	req := x.request()
	req.Header = x.passthroughHeaders()
	plain, err := x.passthroughPayload(req)
	if err != nil {
		return err
	}
	resp, err := x.sendPassthrough(x.r.Context(), req, plain)
	if resp != nil {
		defer resp.Body.Close()
	}
	if plain != nil {
		if err = x.uploadFailure(plain, err); err == nil {
			err = upstream.Acknowledged(resp.Header)
		}
	}
	if err != nil {
		return err
	}
	x.passHeaders(resp.Header)
	out := x.w.Header()
	if old := resp.Header.Values(legacy.HeaderName); len(old) > 0 { // here everything is what it is
		out[object.MetaName(legacy.HeaderName)] = old
	}
	for name, values := range resp.Header {
		if strings.HasPrefix(name, "X-Amz-") && name != "X-Amz-Bucket-Region" && !strings.HasPrefix(name, "X-Amz-Meta-") {
			out[name] = values
		}
	}
	for _, name := range []string{"Accept-Ranges", "Content-Length", "Content-Range", "Etag"} {
		if v := resp.Header.Get(name); v != "" {
			out.Set(name, v)
		}
	}
	x.w.WriteHeader(resp.StatusCode)
	n, err := io.Copy(x.w, resp.Body)
	if err == nil && resp.ContentLength >= 0 && n != resp.ContentLength && x.r.Method != http.MethodHead {
		err = fmt.Errorf("%w: the store sent %d of %d bytes", envelope.ErrTruncated, n, resp.ContentLength)
	}
	return err
}

// passthroughHeaders are the client's for the store.
func (x *exchange) passthroughHeaders() http.Header {
	h := x.passedHeaders()
	for name, values := range x.r.Header {
		if slices.ContainsFunc(passthroughHeaders, func(p string) bool {
			prefix, any := strings.CutSuffix(p, "*")
			return name == p || any && strings.HasPrefix(name, prefix)
		}) {
			h[name] = values
		}
	}
	object.TrimChunkedEncoding(h)
	return h
}

// passthroughPayload gives req the client's body. plain is nil if that is not an object's.
func (x *exchange) passthroughPayload(req *upstream.Request) (plain *checksum.Reader, err error) {
	switch {
	case x.r.Method == http.MethodPut:
		return x.passthroughBody(req)
	case x.r.Method != http.MethodPost, x.uploadID == (s3name.UploadID{}): // an upload begins without a document
		return nil, nil
	}
	// Stores differ in what they take for a list; its checksum headers are the object's.
	wanted, err := x.readWanted()
	if err != nil {
		return nil, err
	}
	if req.Bytes, err = s3xml.Marshal(&s3xml.CompleteUpload{Xmlns: s3xml.Namespace, Parts: wanted.Parts}); err != nil {
		return nil, err
	}
	req.Header.Set("Content-Md5", upstream.ContentMD5(req.Bytes))
	req.Header.Set("Content-Type", "application/xml")
	return nil, nil
}

// sendPassthrough sends a request whose body is plaintext. If the store cannot see that the end of
// a body is missing, a small one is verified first, and a large one goes up in parts, unless it
// is a part itself, which is not an object yet.
func (x *exchange) sendPassthrough(ctx context.Context, req *upstream.Request, plain *checksum.Reader) (*http.Response, error) {
	if req.Body == nil || x.Upstream.ChecksBodies() {
		return x.Upstream.Do(ctx, req)
	}
	if n := req.Length; n <= holdLimit && x.proxy.hold.TryAcquire(heldRoom(n)) {
		defer x.proxy.hold.Release(heldRoom(n))
		body := x.proxy.memory.get(n)
		defer body.Close()
		if _, err := io.ReadFull(plain, body.bytes); err != nil {
			return nil, err
		}
		if err := object.ConfirmEnd(plain); err != nil {
			return nil, err
		}
		req.Body, req.Length, req.Bytes, req.Readers = nil, 0, body.bytes, body.readers()
		return x.Upstream.Do(ctx, req)
	}
	if req.UploadID != (s3name.UploadID{}) {
		return x.Upstream.Do(ctx, req)
	}
	if req.Length > maxPutSize {
		return nil, errPutTooLarge(req.Length)
	}
	for name := range req.Header {
		if name == "Content-Md5" || strings.HasPrefix(name, checksum.HeaderPrefix) {
			delete(req.Header, name) // of a body; an upload begins with none
		}
	}
	return x.putStreamed(ctx, req)
}

// passthroughBody makes the client's body the body of req, with the client's own checksum.
func (x *exchange) passthroughBody(req *upstream.Request) (*checksum.Reader, error) {
	body, err := x.auth.Body(x.r)
	if err != nil {
		return nil, err
	}
	if body.Length < 0 {
		return nil, s3err.MissingContentLength
	}
	declared, err := checksum.ReadDeclared(x.r.Header, body.DeclaredTrailers(), x.auth.Presigned)
	if err != nil {
		return nil, err
	}
	plain := checksum.NewReader(x.timeoutReader(body), body, declared)
	req.Body, req.Length = plain, body.Length
	if declared.Given() {
		name := checksum.Header(declared.Algorithm)
		req.Header.Del(name)
		req.Checksum = &upstream.Checksum{Header: name, Hash: checksum.New(declared.Algorithm)}
	}
	if body.Length == 0 {
		// Nothing is streamed; only the signature vouches for an empty body.
		if _, err := io.Copy(io.Discard, plain); err != nil {
			return nil, uploadError(err)
		}
		req.Body, req.Checksum = nil, nil
		if declared.Given() {
			req.Header.Set(checksum.Header(declared.Algorithm), base64.StdEncoding.EncodeToString(plain.Facts().Checksum.Value))
		}
	}
	req.Header.Del("Content-Length")
	return plain, nil
}
