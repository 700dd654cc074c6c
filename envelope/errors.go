package envelope

import (
	"errors"
	"fmt"
)

// One error for each class of failure. Every error of this package is exactly one of these under
// [errors.Is] or [errors.As], unless it comes from the caller's own reader. The expect lines of
// the test vectors name the classes.
var (
	// ErrTampered: sealed data did not authenticate. Its bytes, its place or the key differ from
	// what was written.
	ErrTampered = errors.New("envelope: authentication failed")
	// ErrTruncated: the ciphertext ended before its last byte.
	ErrTruncated = errors.New("envelope: ciphertext is truncated")
	// ErrCommitment: the DEK is not the one that the metadata commits to.
	ErrCommitment = errors.New("envelope: the data key does not match its commitment")
	// ErrKey: a wrapped DEK did not unwrap; the wrapping key or the context is wrong.
	ErrKey = errors.New("envelope: the wrapped data key was refused")
	// ErrMetadata: the metadata, the sealed facts or the name of a part record is malformed.
	ErrMetadata = errors.New("envelope: malformed metadata")
	// ErrNotEncrypted: the object has no s3proxy metadata.
	ErrNotEncrypted = errors.New("envelope: not an object of s3proxy")
	// ErrTrailer: the trailer is missing, malformed, followed by more bytes, or contradicts the
	// object's size, its layout or the trailer read earlier.
	ErrTrailer = errors.New("envelope: wrong trailer")
	// ErrLayout: the caller asked for parts, sizes or a range that the format does not allow.
	ErrLayout = errors.New("envelope: illegal layout")
	// ErrTooLong: the plaintext source gave more bytes than announced, or the caller announced
	// more than MaxObjectSize.
	ErrTooLong = errors.New("envelope: more plaintext than announced")
)

// FormatError says that the metadata names a format this release cannot read. Number is copied
// from the metadata: decimal digits.
type FormatError struct{ Number string }

func (e *FormatError) Error() string {
	return fmt.Sprintf("envelope: unknown format %s: this s3proxy reads format %d; the object was written by another release",
		e.Number, Format)
}

// NeedMore is returned by [DEK.OpenTrailer] when the given suffix is shorter than the trailer.
// Bytes is the length of the whole trailer.
type NeedMore struct{ Bytes int64 }

func (e *NeedMore) Error() string {
	return fmt.Sprintf("envelope: the trailer is the last %d bytes", e.Bytes)
}
