package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// checkNames is the one filter for what a client names by path and query: a key that is
// one of the proxy's own objects, ids of uploads and versions, and the places at which
// listings begin. Documents, copy sources and forms come through clientKey and the same
// parsers.
func (x *exchange) checkNames() (err error) {
	if x.key != (s3name.Key{}) {
		if err := x.state.refuseOwn(x.key); err != nil {
			return err
		}
	}
	if x.uploadID, x.version, err = s3name.TakeIDs(x.query); err != nil {
		return err
	}
	return s3name.CheckQuery(x.query)
}

// clientKey is a key that a client names otherwise than by the path.
func (s StatePlace) clientKey(text string) (s3name.Key, error) {
	key, err := s3name.ParseKey(text)
	if err != nil {
		return key, err
	}
	return key, s.refuseOwn(key)
}

func (s StatePlace) refuseOwn(key s3name.Key) error {
	if s.owns(key.String()) {
		return s3err.AccessDenied.WithMessage("Keys that begin with %s belong to s3proxy.", s.root())
	}
	return nil
}

// ownKey is the key of one of the proxy's own objects. What stands behind the root may
// come from a store's listing.
func (s StatePlace) ownKey(text string) (s3name.Key, error) {
	key, err := s3name.ParseKey(text)
	if err == nil && (!strings.HasPrefix(text, s.root()) || key.Folds()) {
		err = s3name.ErrKey
	}
	if err != nil {
		return s3name.Key{}, fmt.Errorf("%w: a key among the proxy's own objects: %v", upstream.ErrStored, err)
	}
	return key, nil
}

// refOf checks the names that a command was given, or has from a store's listing; version
// is empty for the current one.
func refOf(bucket, key, version string) (b s3name.Bucket, k s3name.Key, v s3name.VersionID, err error) {
	if b, err = s3name.ParseBucket(bucket); err != nil {
		return b, k, v, fmt.Errorf("%q: %w", bucket, err)
	}
	if k, err = s3name.ParseKey(key); err != nil {
		return b, k, v, fmt.Errorf("%q: %w", key, err)
	}
	if version != "" {
		if v, err = s3name.ParseVersionID(version); err != nil {
			return b, k, v, fmt.Errorf("%q: %w", version, err)
		}
	}
	return b, k, v, nil
}

// inS3sWords gives S3's answer for a client's name that is none, and other errors as they
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
