package kms

import (
	"context"
	"errors"
)

// The classes of a driver's errors, to be distinguished with errors.Is. Callers decide by them.
// Therefore a driver must put every error into exactly one, or return the context's error if the
// caller's context is done.
var (
	// ErrUnavailable: the KMS did not answer, or answered that it cannot do it now (sealed,
	// throttled, a 5xx). The same call may succeed later.
	ErrUnavailable = errors.New("KMS unavailable")

	// ErrDenied: the KMS refuses this proxy's identity or this use of the key.
	ErrDenied = errors.New("KMS denied access")

	// ErrNotFound: the key, or the named version, is gone, disabled, or never existed.
	ErrNotFound = errors.New("KMS key not found")

	// ErrInvalid: the KMS or the driver refused the blob, its context, or its name.
	ErrInvalid = errors.New("wrapped key refused")
)

// ErrNoRecord is what [Records] must answer when there is no such window record.
var ErrNoRecord = errors.New("no such window record")

// Permanent reports whether err is a final refusal: repeating the call cannot help, but
// another way to the key may. It is false for nil, for ErrUnavailable, and for a context that
// has ended.
func Permanent(err error) bool {
	return err != nil &&
		!errors.Is(err, ErrUnavailable) &&
		!errors.Is(err, context.Canceled) &&
		!errors.Is(err, context.DeadlineExceeded)
}

// Class names the class of a driver's error, for logs and metrics: ok for nil, unavailable, denied,
// not-found, invalid, canceled (the caller gave up), or error for an error without a class.
func Class(err error) string {
	for _, c := range []struct {
		name string
		is   error
	}{
		{"canceled", context.Canceled}, {"unavailable", ErrUnavailable}, {"denied", ErrDenied}, {"not-found", ErrNotFound}, {"invalid", ErrInvalid},
	} {
		if errors.Is(err, c.is) {
			return c.name
		}
	}
	if err != nil {
		return "error"
	}
	return "ok"
}
