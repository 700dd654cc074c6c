package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

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
	if err != nil {
		err = x.explainReset(err)
		if !plain.Ended() {
			// The transport may still wait for the client's next bytes; the answer
			// must not wait with it.
			_ = http.NewResponseController(x.w).SetReadDeadline(time.Now())
		}
		return err
	}
	return plain.Whole()
}

// putSealed sends the body to the store, sealed under a new key, with the headers h, the
// client's conditions among them. A body that is small enough, while memory for it is left, is
// read and verified whole first: its checksums are in the metadata then, so that HEAD has them.
func (x *exchange) putSealed(h http.Header, plain *checksum.Reader, size int64) (*http.Response, error) {
	var src io.Reader = plain
	known := plain.Declared.Known()
	weight := size + envelope.StoredSize(size) // plaintext and ciphertext
	empty := object.KindOfPut(x.key.String(), size) == envelope.KindEmpty
	held := size <= holdLimit && x.proxy.hold.TryAcquire(weight)
	if held || empty {
		if held {
			defer x.proxy.hold.Release(weight)
		}
		buf := x.proxy.memory.get(size)
		defer x.proxy.memory.put(buf)
		if err := readVerified(plain, buf); err != nil {
			return nil, err
		}
		src, known = bytes.NewReader(buf), plain.Facts()
	}

	ctx := x.r.Context()
	req := &upstream.Request{Method: http.MethodPut, Bucket: x.bucket, Key: x.key, Header: h, Unsigned: x.unsigned()}
	req.Checksum = mirrored(plain.Declared, held)
	object.TrimChunkedEncoding(req.Header)
	once := !held && !empty
	asked, resolved := req.Header.Clone(), false
	if once { // its conditions come first
		var err error
		if resolved, err = x.resolveConditions(ctx, req.Header); err != nil {
			return nil, err
		}
	}
	if err := x.mayWrite(ctx); err != nil {
		return nil, err
	}
	sealing, err := x.NewSealing(ctx, x.bucket, x.key, size, known)
	if err != nil {
		return nil, err
	}
	x.kek = sealing.Meta.KEK
	sealing.SetMetadata(req.Header)
	if empty {
		return x.doConditional(ctx, req)
	}
	if once { // it may have taken long
		src = sealing.UnderFloor(ctx, src)
	}
	sealed := sealing.Body(src, plain.Facts)
	defer sealed.Close()
	if held {
		defer sealing.Close()
		req.Bytes = make([]byte, sealing.Length)
		if _, err := io.ReadFull(sealed, req.Bytes); err != nil {
			return nil, err
		}
		return x.doConditional(ctx, req)
	}
	req.Body, req.Length = sealed, sealing.Length
	resp, err := x.putStreamed(ctx, req)
	if err != nil && resolved {
		err = x.lookAgain(ctx, asked, err)
	}
	return resp, err
}

// readVerified reads a whole body, which has as many bytes as buf.
func readVerified(plain *checksum.Reader, buf []byte) error {
	if _, err := io.ReadFull(plain, buf); err != nil {
		return err
	}
	return object.ReadEnd(plain)
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
