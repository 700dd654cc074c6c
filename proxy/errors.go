package proxy

import (
	"errors"
	"net/http"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// asS3Error gives every error of a handler its S3 form; what is not named here
// is an internal error whose cause only the log sees.
func asS3Error(err error) *s3err.Error {
	var s3 *s3err.Error
	switch {
	case errors.As(err, &s3):
		return s3
	case errors.Is(err, kms.ErrUnavailable):
		e := s3err.SlowDown.WithMessage("The key management service does not answer; please try again.").Because(err)
		e.Header = http.Header{"Retry-After": {"5"}}
		return e
	case errors.Is(err, envelope.ErrNotEncrypted):
		return s3err.AccessDenied.WithMessage("The stored object is not encrypted by s3proxy. The setting --allow-plaintext-reads lets such objects be read.").Because(err)
	case errors.Is(err, kms.ErrBelowFloor):
		return s3err.InternalError.WithMessage("The stored object is from before the keys of its bucket were made anew (keys rekey), and is not read any more: whoever had the old keys could have made it.").Because(err)
	case object.Damaged(err):
		return s3err.InternalError.WithMessage("The stored object failed authentication: it was changed, cut or moved in the store, or its key does not fit. Not one byte of the failing segment was released.").Because(err)
	}
	var format *envelope.FormatError
	if errors.As(err, &format) {
		return s3err.InternalError.WithMessage("%s", format.Error()).Because(err)
	}
	return s3err.InternalError.Because(err)
}
