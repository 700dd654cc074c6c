package kms

import (
	"context"
	"errors"
)

// The classes of a driver's errors, to be told apart with errors.Is. A caller
// decides by them, so a driver puts every error into exactly one, or returns the
// context's error when the caller's context is done.
var (
	// ErrUnavailable: the KMS did not answer, or answered that it cannot now
	// (sealed, throttled, a 5xx). The same call may succeed later.
	ErrUnavailable = errors.New("KMS unavailable")

	// ErrDenied: the KMS refuses this proxy's identity or this use of the key.
	ErrDenied = errors.New("KMS denied access")

	// ErrNotFound: the key, or the version that is named, is gone, disabled, or
	// was never here.
	ErrNotFound = errors.New("KMS key not found")

	// ErrInvalid: the blob, its context, or its name was refused.
	ErrInvalid = errors.New("wrapped key refused")
)

// ErrNoRecord is what a [Records] answers when there is no such window record.
var ErrNoRecord = errors.New("no such window record")

// Permanent reports whether err is a refusal for good: asking the same again
// cannot help, another way to the key may. It is false for nil, for
// ErrUnavailable, and for a context that ended.
func Permanent(err error) bool {
	return err != nil &&
		!errors.Is(err, ErrUnavailable) &&
		!errors.Is(err, context.Canceled) &&
		!errors.Is(err, context.DeadlineExceeded)
}
