package kms

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"

	"github.com/s3proxy/s3proxy/envelope"
)

// Rewrapping wraps window records anew under the version of the key for writing that
// was current when it was made. Make one for each run of a rotation. It may be used
// concurrently.
type Rewrapping struct {
	ring *Keyring
	kek  string
}

// NewRewrapping asks the KMS for the current version of the key for writing. The
// error is one of the classes in errors.go, or the context's.
func (k *Keyring) NewRewrapping(ctx context.Context) (*Rewrapping, error) {
	r := &Rewrapping{ring: k}
	err := bounded(ctx, func(ctx context.Context) (err error) {
		r.kek, err = k.write.Current(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("asking for the key's current version: %w", err)
	}
	return r, nil
}

// KEK is the versioned URI that records are wrapped to.
func (r *Rewrapping) KEK() string { return r.kek }

// Record wraps a window record for the same window, bucket and id under the current
// version. id is the record's name, in hexadecimal. It answers the new record, which
// was seen to open with the key for writing alone, and that record's KEK: the one of
// r, or a newer one when the key was rotated meanwhile. A record that is of r's KEK
// already is not changed, and not opened either: newRecord is nil then.
//
// The error is one of the classes in errors.go, or the context's; the record that is
// there must then be left as it is.
func (r *Rewrapping) Record(ctx context.Context, bucket, id string, record []byte) (newRecord []byte, kek string, changed bool, err error) {
	old, err := parseRecord(record)
	if err != nil {
		return nil, "", false, fmt.Errorf("window record %s: %w", id, err)
	}
	if old.KEK == r.kek {
		return nil, old.KEK, false, nil
	}
	var fresh Wrapped
	err = bounded(ctx, func(ctx context.Context) (err error) {
		fresh, err = r.rewrap(ctx, bucket, id, old)
		return err
	})
	if err == nil {
		newRecord, err = encodeRecord(fresh)
	}
	if err != nil {
		return nil, "", false, fmt.Errorf("re-wrapping window record %s: %w", id, err)
	}
	return newRecord, fresh.KEK, true, nil
}

// rewrap does it inside the KMS where that can, else by unwrapping and wrapping.
func (r *Rewrapping) rewrap(ctx context.Context, bucket, id string, old Wrapped) (Wrapped, error) {
	fresh, raw, err := r.inside(ctx, bucket, id, old)
	if errors.Is(err, errors.ErrUnsupported) {
		fresh, raw, err = r.outside(ctx, bucket, id, old)
	}
	defer clear(raw)
	if err != nil {
		return Wrapped{}, err
	}
	if fresh.KEK == old.KEK {
		return Wrapped{}, fmt.Errorf("%w: it still wraps under %s, though %s is current", ErrUnavailable, fresh.KEK, r.kek)
	}
	// With the key for writing alone, as it must be when all others are gone.
	again, err := r.ring.write.Unwrap(ctx, fresh, recordContext(bucket, id))
	defer clear(again)
	if err != nil {
		return Wrapped{}, fmt.Errorf("opening what was just wrapped: %w", err)
	}
	if raw != nil && subtle.ConstantTimeCompare(raw, again) != 1 || len(again) != envelope.KeySize {
		return Wrapped{}, fmt.Errorf("%w: what was just wrapped opens as another key", ErrInvalid)
	}
	return fresh, nil
}

// inside asks the KMS of the key for writing to wrap anew; ErrUnsupported when it
// cannot, or refuses: its policy may allow decryption and encryption alone. The key
// itself is not seen: raw is nil.
func (r *Rewrapping) inside(ctx context.Context, bucket, id string, old Wrapped) (fresh Wrapped, raw []byte, err error) {
	key, can := r.ring.write.(Rewrapper)
	if !can || schemeOf(old.KEK) != schemeOf(r.kek) {
		return Wrapped{}, nil, errors.ErrUnsupported
	}
	for _, opener := range r.ring.candidates(old.KEK) {
		if fresh, err = key.Rewrap(ctx, opener, old, contextOfRecord(bucket, id, old.Blob), recordContext(bucket, id)); err == nil {
			err = checkWrapped(fresh)
		}
		if !Permanent(err) {
			return fresh, nil, err
		}
	}
	return Wrapped{}, nil, fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
}

// outside unwraps with any configured key and wraps with the one for writing. The
// caller clears raw.
func (r *Rewrapping) outside(ctx context.Context, bucket, id string, old Wrapped) (fresh Wrapped, raw []byte, err error) {
	raw, err = r.ring.unwrap(ctx, old, contextOfRecord(bucket, id, old.Blob))
	if err != nil {
		return Wrapped{}, nil, err
	}
	fresh, err = wrap(ctx, r.ring.write, raw, recordContext(bucket, id))
	return fresh, raw, err
}

// RecordKEK is the versioned URI of the key that a window record is wrapped by, as
// the record says. The error is ErrInvalid for what is no record.
func RecordKEK(record []byte) (string, error) {
	w, err := parseRecord(record)
	return w.KEK, err
}

func schemeOf(kek string) string {
	scheme, _, _ := strings.Cut(kek, ":")
	return scheme
}
