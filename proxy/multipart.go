package proxy

import (
	"net/http"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/multipart"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// target is the object that the request's upload is for.
func (x *exchange) target() multipart.Target {
	return multipart.Target{Objects: x.Objects, Bucket: x.bucket, Key: x.key, Unsigned: x.unsigned()}
}

// createMultipartUpload begins an upload (package multipart).
func createMultipartUpload(x *exchange) error {
	options, err := checksum.ReadUploadOptions(x.r.Header)
	if err != nil {
		return err
	}
	options.MD5 = x.ETag == object.ETagMD5
	ctx := x.r.Context()
	if err := x.mayCreate(ctx); err != nil {
		return err
	}
	h := x.passedHeaders()
	object.TrimChunkedEncoding(h)
	id, header, err := x.proxy.uploads.Create(ctx, x.target(), options, h)
	if err != nil {
		return err
	}
	x.passHeaders(header)
	out := x.w.Header()
	for _, name := range []string{"X-Amz-Abort-Date", "X-Amz-Abort-Rule-Id"} {
		if v := header.Get(name); v != "" {
			out.Set(name, v)
		}
	}
	x.tellEncryption(out, x.ETag == object.ETagMD5, header)
	if options.Checksum != envelope.NoChecksum {
		out.Set("X-Amz-Checksum-Algorithm", options.Checksum.String())
		out.Set("X-Amz-Checksum-Type", checksum.TypeName(options.Type))
	}
	return x.answerXML(s3xml.CreateUploadResult{Xmlns: s3xml.Namespace, Bucket: x.bucket.String(), Key: s3xml.Text(x.key.String()), UploadID: id.String()})
}

// uploadPart streams a part: verify -> decode -> check -> seal -> send. The
// client's 200 follows only after the part's record is stored, so that Complete
// knows every part that a client knows of.
func uploadPart(x *exchange) error {
	body, err := x.auth.Body(x.r)
	if err != nil {
		return err
	}
	if err := multipart.CheckPartSize(x.part, body.Length); err != nil {
		return err
	}
	declared, err := checksum.ReadDeclared(x.r.Header, body.DeclaredTrailers(), x.auth.Presigned)
	if err != nil {
		return err
	}
	ctx := x.r.Context()
	u, err := x.proxy.uploads.Open(ctx, x.target(), x.uploadID)
	if err != nil {
		return err
	}
	defer u.Close()
	if err := u.Demand(declared); err != nil {
		return err
	}
	plain := checksum.NewReader(x.timeoutReader(body), body, declared)
	part, err := u.SendPart(ctx, x.part, body.Length, plain)
	if err := x.uploadFailure(plain, err); err != nil {
		return err
	}
	h := x.w.Header()
	x.passCommon(http.Header{})
	h["ETag"] = []string{u.PartETag(part)}
	x.tellEncryption(h, x.ETag == object.ETagMD5, nil)
	checksum.SetHeader(h, envelope.Checksum{Algorithm: plain.Facts().Checksum.Algorithm, Value: plain.Facts().Checksum.Value}, 0)
	h.Set("Content-Length", "0")
	x.w.WriteHeader(http.StatusOK)
	return nil
}

// abortMultipartUpload ends an upload without an object.
func abortMultipartUpload(x *exchange) error {
	header, err := x.proxy.uploads.Abort(x.r.Context(), x.target(), x.uploadID, x.passedHeaders())
	if err != nil {
		return err
	}
	x.passHeaders(header)
	x.w.WriteHeader(http.StatusNoContent)
	return nil
}
