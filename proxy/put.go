package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// maxPutSize is the largest body of one PUT that S3 takes: 5 GiB.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html
const maxPutSize = 5 << 30

// putObject: verify -> decode -> check -> seal -> send. The last segment is
// held back by the envelope until the body's io.EOF, which says that the
// client's signature, length, MD5 and checksum hold. A bad upload therefore
// reaches the store without its last chunk and checksum, and never becomes an
// object; its Content-Length alone would not ensure that (upstream.Payload).
func putObject(x *exchange) error {
	body, err := x.auth.Body(x.r)
	if err != nil {
		return err
	}
	if body.Length < 0 {
		return s3err.MissingContentLength
	}
	declared, err := checksum.ReadDeclared(x.r.Header, body.DeclaredTrailers(), x.auth.Presigned)
	if err != nil {
		return err
	}
	declared.WantsMD5 = x.ETag == object.ETagMD5
	plain := checksum.NewReader(x.timeoutReader(body), body, declared)
	if err := x.putEncrypted(x.passedHeaders(), plain, body.Length); err != nil {
		return err
	}
	h := x.w.Header()
	h.Set("Content-Length", "0")
	x.w.WriteHeader(http.StatusOK)
	return nil
}

// putEncrypted stores a body of exactly size bytes as the object, with the headers h, and
// sets the headers of the answer. Without an error the store has the whole body, and all
// that was declared of it holds.
func (x *exchange) putEncrypted(h http.Header, plain *checksum.Reader, size int64) error {
	if size > maxPutSize {
		return errPutTooLarge(size)
	}
	resp, err := x.putSealed(h, plain, size)
	if resp != nil {
		defer resp.Body.Close()
	}
	if err := x.uploadFailure(plain, err); err != nil {
		return err
	}
	if err := upstream.Acknowledged(resp.Header); err != nil {
		return err
	}
	x.passHeaders(resp.Header)
	out := x.w.Header()
	x.setETag(out, x.MD5Tag(resp.Header.Get("Etag"), plain.Facts().MD5), resp.Header)
	checksum.SetHeader(out, plain.Facts().Checksum, 0)
	if resp.Header.Get("X-Amz-Object-Size") != "" { // from stores that say it
		out.Set("X-Amz-Object-Size", strconv.FormatInt(size, 10))
	}
	return nil
}

func errPutTooLarge(size int64) error {
	return s3err.EntityTooLarge.With(s3err.Field{Name: "ProposedSize", Value: fmt.Sprint(size)}, s3err.Field{Name: "MaxSizeAllowed", Value: fmt.Sprint(int64(maxPutSize))})
}

// uploadFailure is the answer to an upload that failed: err comes from sending it, and plain knows
// what was wrong with the client's body. It is nil if nothing failed.
func (x *exchange) uploadFailure(plain *checksum.Reader, err error) error {
	if refusal := plain.Refusal(); refusal != nil {
		// Nobody reads the body any more. A client that is answered while it
		// still sends may take the closed connection for the answer.
		x.drain()
		return uploadError(refusal)
	}
	if err == nil {
		err = plain.Whole()
	} else {
		err = x.explainReset(err)
	}
	if err != nil && !plain.Ended() {
		// The transport may still wait for the client's next bytes; the answer must not wait
		// with it.
		x.w.deadlines.readNoMore()
	}
	return err
}

// putSealed sends the body to the store, sealed under a new key, with the headers h, the
// client's conditions among them. A body that is small enough, while memory for it is left, is
// read and verified whole first: its checksums are in the metadata then, so that HEAD has them.
func (x *exchange) putSealed(h http.Header, plain *checksum.Reader, size int64) (*http.Response, error) {
	req := &upstream.Request{Method: http.MethodPut, Bucket: x.bucket, Key: x.key, Header: h, Unsigned: x.unsigned()}
	object.TrimChunkedEncoding(req.Header)
	room := heldRoom(envelope.StoredSize(size))
	switch {
	case object.KindOfPut(x.key.String(), size) == envelope.KindEmpty:
		if err := object.ConfirmEnd(plain); err != nil {
			return nil, err
		}
		if _, err := x.newSealing(req, size, plain.Facts()); err != nil {
			return nil, err
		}
		return x.doConditional(x.r.Context(), req)
	case size <= holdLimit && x.proxy.hold.TryAcquire(room):
		defer x.proxy.hold.Release(room)
		return x.putHeld(req, plain, size)
	}
	return x.putOnce(req, plain, size)
}

// newSealing makes the key of an object, if it may be written, and its metadata for the request.
func (x *exchange) newSealing(req *upstream.Request, size int64, known envelope.Facts) (*object.Sealing, error) {
	ctx := x.r.Context()
	if err := x.mayWrite(ctx); err != nil {
		return nil, err
	}
	sealing, err := x.NewSealing(ctx, x.bucket, x.key, size, known)
	if err != nil {
		return nil, err
	}
	x.kek = sealing.Meta.KEK
	sealing.SetMetadata(req.Header)
	return sealing, nil
}

// putHeld reads the body to where it is sealed.
func (x *exchange) putHeld(req *upstream.Request, plain *checksum.Reader, size int64) (*http.Response, error) {
	body := x.proxy.memory.get(envelope.StoredSize(size))
	defer body.Close()
	sealed := false
	defer func() {
		if !sealed { // nobody else has it yet
			clear(body.bytes)
		}
	}()
	content, err := envelope.NewHeldObject(body.bytes, size)
	if err != nil {
		return nil, err
	}
	if err := content.Fill(plain); err != nil {
		return nil, err
	}
	sealing, err := x.newSealing(req, size, plain.Facts())
	if err != nil {
		return nil, err
	}
	if req.Bytes, err = sealing.InPlace(content, plain.Facts()); err != nil {
		return nil, err
	}
	sealed = true
	req.Readers, req.Checksum = body.readers(), mirrored(plain.Declared, true)
	return x.doConditional(x.r.Context(), req)
}

// putOnce streams the body, which cannot be sent again.
func (x *exchange) putOnce(req *upstream.Request, plain *checksum.Reader, size int64) (*http.Response, error) {
	ctx := x.r.Context()
	asked := req.Header.Clone()
	resolved, err := x.resolveConditions(ctx, req.Header) // they come first
	if err != nil {
		return nil, err
	}
	sealing, err := x.newSealing(req, size, plain.Declared.Known())
	if err != nil {
		return nil, err
	}
	sealed := sealing.Body(sealing.UnderFloor(ctx, plain), plain.Facts) // it may take long
	defer sealed.Close()
	req.Body, req.Length, req.Checksum = sealed, sealing.Length, mirrored(plain.Declared, false)
	resp, err := x.putStreamed(ctx, req)
	if err != nil && resolved {
		err = x.lookAgain(ctx, asked, err)
	}
	return resp, err
}

// uploadError is S3's answer to the error that ended a client's body. A client that went away does
// not get one.
func uploadError(err error) error {
	var s3 *s3err.Error
	if errors.As(err, &s3) {
		return err
	}
	return s3err.IncompleteBody.Because(err)
}

// unsigned tells whether the request is anonymous, so that the store judges it.
func (x *clientRequest) unsigned() bool { return x.auth.AccessKeyID == "" }

// mirrored is the checksum of the ciphertext that the store gets, of the algorithm that the client
// named, so that the store's listings show that algorithm. Stores may not know the newer ones as
// trailers.
func mirrored(p *checksum.Declared, held bool) *upstream.Checksum {
	switch {
	case !p.Given():
		return nil
	case held:
	case p.Algorithm == envelope.CRC32, p.Algorithm == envelope.CRC32C, p.Algorithm == envelope.CRC64NVME, p.Algorithm == envelope.SHA1, p.Algorithm == envelope.SHA256:
	default:
		return nil
	}
	return &upstream.Checksum{Header: checksum.Header(p.Algorithm), Hash: checksum.New(p.Algorithm)}
}
