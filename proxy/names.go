package proxy

import (
	"errors"
	"net/http"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
)

// checkNames checks what a client names by path and query: keys of the proxy's own objects, ids of
// uploads and versions, and the places at which listings begin. Documents, copy sources and forms
// go through Place.ClientKey and the same parsers.
func (x *exchange) checkNames() (err error) {
	if x.key != (s3name.Key{}) {
		if err := x.Place.RefuseOwn(x.key); err != nil {
			return err
		}
	}
	if x.uploadID, x.version, err = s3name.TakeIDs(x.query); err != nil {
		return err
	}
	return s3name.CheckQuery(x.query)
}

// inS3sWords turns the errors of name parsers into S3's answers, and leaves other errors as they
// are.
func inS3sWords(err error) error {
	switch s3 := (*s3err.Error)(nil); {
	case errors.As(err, &s3):
	case errors.Is(err, s3name.ErrKeyLength):
		return s3err.KeyTooLongError.Because(err)
	case errors.Is(err, s3name.ErrKey):
		return errLeavesBucket.Because(err)
	case errors.Is(err, s3name.ErrBucket):
		return s3err.InvalidBucketName.Because(err)
	case errors.Is(err, s3name.ErrUploadID):
		return s3err.NoSuchUpload.Because(err)
	case errors.Is(err, s3name.ErrVersionID):
		return s3err.InvalidArgument.WithMessage("Invalid version id specified").Because(err)
	case errors.Is(err, s3name.ErrQuery):
		return s3err.InvalidArgument.WithMessage("A prefix or marker leads out of its bucket, or is no text.").Because(err)
	}
	return err
}

// errLeavesBucket is S3's answer to a key that leads out of its bucket, as
// versitygw's suite has it from S3: the status for a code.
var errLeavesBucket = &s3err.Error{Code: "400", Status: http.StatusBadRequest, Message: "Bad Request"}
