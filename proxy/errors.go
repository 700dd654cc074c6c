package proxy

import (
	"errors"
	"net/http"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/legacy"
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
	case errors.Is(err, legacy.ErrNoKey):
		return s3err.AccessDenied.WithMessage("The stored object was encrypted by the older s3proxy. The setting legacy-key-file (or legacy-key, legacy-key-env) of its bucket lets such objects be read.").Because(err)
	case errors.Is(err, legacy.ErrHeader):
		return s3err.InternalError.WithMessage("The stored object is marked as one of the older s3proxy, but its header does not open with the bucket's legacy-key, or does not fit its size: either was changed, or the key is another.").Because(err)
	case errors.Is(err, legacy.ErrMD5):
		return s3err.InternalError.WithMessage("The stored object is one of the older s3proxy, and its content does not have the MD5 that was kept with it: one of them was changed in the store.").Because(err)
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
