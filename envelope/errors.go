package envelope

import (
	"errors"
	"fmt"
)

// One error for each class of failure. Each error that this package returns is
// exactly one of these under [errors.Is] or [errors.As] (or comes from a reader
// that the caller gave); the test vectors name them in their expect line.
var (
	// ErrTampered: something sealed did not authenticate. Its bytes, its place
	// or the key is not what was written.
	ErrTampered = errors.New("envelope: authentication failed")
	// ErrTruncated: the ciphertext ended before its last byte.
	ErrTruncated = errors.New("envelope: ciphertext is truncated")
	// ErrCommitment: the DEK is not the one that the metadata commits to.
	ErrCommitment = errors.New("envelope: the data key does not match its commitment")
	// ErrKey: a wrapped DEK was refused, by the key or by its context.
	ErrKey = errors.New("envelope: the wrapped data key was refused")
	// ErrMetadata: the metadata, the sealed facts or the name of a part record
	// is not as the format has it.
	ErrMetadata = errors.New("envelope: malformed metadata")
	// ErrNotEncrypted: there is no metadata of s3proxy at all.
	ErrNotEncrypted = errors.New("envelope: not an object of s3proxy")
	// ErrTrailer: the trailer is missing, malformed, followed by more bytes, or
	// says something else than the object's size, layout or earlier trailer.
	ErrTrailer = errors.New("envelope: wrong trailer")
	// ErrLayout: the caller asked for parts, sizes or a range that the format
	// does not have.
	ErrLayout = errors.New("envelope: illegal layout")
	// ErrTooLong: the source of plaintext gave more than was announced, or more
	// than MaxObjectSize was announced.
	ErrTooLong = errors.New("envelope: more plaintext than announced")
)

// FormatError says that the metadata names a format that this release does not
// read. Number is as the metadata has it: decimal digits.
type FormatError struct{ Number string }

func (e *FormatError) Error() string {
	return fmt.Sprintf("envelope: unknown format %s: this s3proxy reads format %d; the object was written by another release",
		e.Number, Format)
}

// NeedMore is what [DEK.OpenTrailer] answers when the trailer is longer than
// the suffix that it was given. Bytes is the length of the whole trailer.
type NeedMore struct{ Bytes int64 }

func (e *NeedMore) Error() string {
	return fmt.Sprintf("envelope: the trailer is the last %d bytes", e.Bytes)
}
