package object

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/legacy"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// damages are the errors that mean that the store did not return what was written.
var damages = []struct {
	kind string
	is   error
}{
	{"spliced", ErrSpliced},
	{"segment", envelope.ErrTampered}, {"truncated", envelope.ErrTruncated}, {"commitment", envelope.ErrCommitment},
	{"wrapped-key", envelope.ErrKey}, {"metadata", envelope.ErrMetadata}, {"trailer", envelope.ErrTrailer},
	{"legacy-header", legacy.ErrHeader}, {"legacy-md5", legacy.ErrMD5},
	{"layout", envelope.ErrLayout}, {"length", envelope.ErrTooLong}, {"answer", upstream.ErrStored},
}

// Damage is the kind of damage that err stands for, one word of a fixed set: spliced (two objects
// under one ETag), segment, truncated, commitment, wrapped-key, metadata, trailer, layout, length,
// legacy-header, legacy-md5, or answer (the store's answer contradicts itself). It is "" if the
// store may have returned what was written.
func Damage(err error) string {
	for _, d := range damages {
		if errors.Is(err, d.is) {
			return d.kind
		}
	}
	return ""
}

// DamageKinds are all words that Damage may return.
func DamageKinds() (kinds []string) {
	for _, d := range damages {
		kinds = append(kinds, d.kind)
	}
	return kinds
}

// Damaged reports whether err means that the store did not return what was written.
func Damaged(err error) bool { return Damage(err) != "" }

// Unreadable reports whether err is about the object itself, so that retrying would not help.
func Unreadable(err error) bool {
	var format *envelope.FormatError
	var s3 *s3err.Error
	switch {
	case errors.As(err, &s3):
		return s3.Status < http.StatusInternalServerError
	case errors.Is(err, envelope.ErrNotEncrypted), errors.As(err, &format):
		return true
	}
	return Damaged(err)
}

// ErrChanged says that an object was replaced between two requests of one read.
var ErrChanged = errors.New("the object was replaced between two requests")

// ErrReplaced is the error for clients in that case.
var ErrReplaced = s3err.ServiceUnavailable.WithMessage("The object was replaced while it was read; please try again.").Because(ErrChanged)

// ErrSpliced says that a store returned two objects under one ETag. A client that reads in several
// requests would combine bytes that were never one object.
var ErrSpliced = errors.New("the store gives another object under the same ETag")

// ParseRef checks names that a command was given, or read in a store's listing; version is empty
// for the current version.
func ParseRef(bucket, key, version string) (b s3name.Bucket, k s3name.Key, v s3name.VersionID, err error) {
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
