package proxy

import (
	"context"
	"net/http"
	"strconv"

	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/multipart"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// completeMultipartUpload ends an upload (package multipart). While that takes, the answer is
// kept alive.
func completeMultipartUpload(x *exchange) error {
	wanted, err := x.readWanted()
	if err != nil {
		return err
	}
	alive := x.keepAlive()
	done, err := x.proxy.uploads.Complete(x.r.Context(), x.target(), x.uploadID, wanted)
	begun := alive.stop()
	if err != nil {
		if begun {
			return x.answerLate(asS3Error(err))
		}
		return err
	}
	out := s3xml.CompleteUploadResult{Xmlns: s3xml.Namespace, Location: x.location(x.key.String()), Bucket: x.bucket.String(), Key: s3xml.Text(x.key.String()), ETag: x.completedETag(done)}
	facts := done.Trailer.Facts
	checksum.SetElement(&out.Checksums, facts.Checksum, len(done.Trailer.Parts))
	out.ChecksumType = checksum.TypeName(facts.Checksum.Type)
	if begun {
		return x.answerXMLLate(out)
	}
	// Those of an upload that had ended before are the object's, and say nothing of this document.
	for _, name := range []string{"X-Amz-Version-Id", "X-Amz-Expiration", "X-Amz-Request-Charged"} {
		if v := done.Header.Get(name); v != "" {
			x.w.Header().Set(name, v)
		}
	}
	x.passCommon(done.Header)
	x.tellEncryption(x.w.Header(), x.ETag == object.ETagMD5, done.Header)
	return x.answerXML(out)
}

// completedETag is the ETag that HEAD will show.
func (x *exchange) completedETag(done *multipart.Completed) string {
	if x.ETag == object.ETagMD5 {
		if tag := object.MultipartMD5(done.Trailer.Parts); tag != "" {
			return tag
		}
	}
	return object.ClientETag(done.ETag)
}

// completeHeaders are the client's, its conditions translated for the store.
func (x *exchange) completeHeaders(ctx context.Context) (h http.Header, resolved bool, err error) {
	h = x.passedHeaders()
	resolved, err = x.resolveConditions(ctx, h)
	return h, resolved, err
}

// readWanted reads and checks what can be checked without the store.
func (x *exchange) readWanted() (multipart.Wanted, error) {
	wanted := multipart.Wanted{Size: -1, Header: x.completeHeaders}
	ofBody := http.Header{}
	for _, name := range []string{"Content-Md5"} { // the rest is of the object
		if v := x.r.Header.Values(name); len(v) > 0 {
			ofBody[name] = v
		}
	}
	body, err := x.readDocumentOf(s3xml.MaxBytes, ofBody)
	if err != nil {
		return wanted, err
	}
	var in s3xml.CompleteUpload
	if err := s3xml.Unmarshal(body, &in); err != nil {
		return wanted, x.refusedDocument(s3err.MalformedXML.Because(err))
	}
	if len(in.Parts) == 0 {
		return wanted, x.refusedDocument(s3err.MalformedXML)
	}
	if err := multipart.CheckList(in.Parts); err != nil {
		return wanted, x.refusedDocument(err)
	}
	wanted.Parts = in.Parts
	if text := x.r.Header.Get("X-Amz-Mp-Object-Size"); text != "" {
		wanted.Size, err = strconv.ParseInt(text, 10, 64)
		switch {
		case err != nil:
			return wanted, s3err.InvalidRequest.WithMessage("Value for x-amz-mp-object-size header is invalid: '%s'", text)
		case wanted.Size < 0:
			return wanted, s3err.InvalidRequest.WithMessage("Value for x-amz-mp-object-size header is less than zero: '%d'", wanted.Size)
		}
	}
	if wanted.Checksum, err = checksum.ReadFinal(x.r.Header); err != nil {
		return wanted, err
	}
	wanted.Type, err = checksum.ReadType(x.r.Header)
	return wanted, err
}
