package kms

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"

	"github.com/s3proxy/s3proxy/envelope"
)

// Rewrapping rewraps window records under the version of the key for writing that was current
// when it was made. Make one for each run of a rotation. It is safe for concurrent use.
type Rewrapping struct {
	ring *Keyring
	kek  string
}

// NewRewrapping asks the KMS for the current version of the key for writing. The error is one
// of the classes in errors.go, or the context's.
func (k *Keyring) NewRewrapping(ctx context.Context) (*Rewrapping, error) {
	r := &Rewrapping{ring: k}
	err := k.timeout.bound(ctx, func(ctx context.Context) (err error) {
		r.kek, err = k.write.Current(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("asking for the key's current version: %w", err)
	}
	return r, nil
}

// KEK is the versioned URI of the key that Record wraps under.
func (r *Rewrapping) KEK() string { return r.kek }

// Record rewraps a window record for the same window, bucket and id under the current version. id
// is the record's name, in hexadecimal. It returns the new record, after checking that the key for
// writing alone opens it, and the KEK of that record: r's, or a newer one if the key was rotated
// meanwhile. If r's KEK already wraps the record, Record neither changes nor opens it, and
// newRecord is nil.
//
// The error is one of the classes in errors.go, or the context's; the caller must then leave
// the stored record as it is.
func (r *Rewrapping) Record(ctx context.Context, bucket, id string, record []byte) (newRecord []byte, kek string, changed bool, err error) {
	old, err := parseRecord(record)
	if err != nil {
		return nil, "", false, fmt.Errorf("window record %s: %w", id, err)
	}
	if old.KEK == r.kek {
		return nil, old.KEK, false, nil
	}
	var fresh Wrapped
	err = r.ring.timeout.bound(ctx, func(ctx context.Context) (err error) {
		fresh, err = r.rewrap(ctx, bucket, id, old)
		return err
	})
	if err == nil {
		newRecord, err = encodeRecord(fresh)
	}
	if err != nil {
		return nil, "", false, fmt.Errorf("rewrapping window record %s: %w", id, err)
	}
	return newRecord, fresh.KEK, true, nil
}

// rewrap uses the KMS's own rewrapping if possible, else it unwraps and wraps.
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
		return Wrapped{}, fmt.Errorf("%w: it still wraps under %s, although %s is current", ErrUnavailable, fresh.KEK, r.kek)
	}
	// With only the key for writing: the record must still open when all other keys are gone.
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

// inside asks the KMS of the key for writing to rewrap. The error is ErrUnsupported if the KMS
// cannot, or refuses because its policy allows only decryption and encryption. The key itself stays
// in the KMS: raw is nil.
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

// outside unwraps with any configured key and wraps with the key for writing. The caller must clear
// raw.
func (r *Rewrapping) outside(ctx context.Context, bucket, id string, old Wrapped) (fresh Wrapped, raw []byte, err error) {
	raw, err = r.ring.unwrap(ctx, old, contextOfRecord(bucket, id, old.Blob))
	if err != nil {
		return Wrapped{}, nil, err
	}
	fresh, err = wrap(ctx, r.ring.write, raw, recordContext(bucket, id))
	return fresh, raw, err
}

// RecordKEK returns the versioned URI of the key that wraps a window record, according to the
// record. The error is ErrInvalid if it is not a record.
func RecordKEK(record []byte) (string, error) {
	w, err := parseRecord(record)
	return w.KEK, err
}

func schemeOf(kek string) string {
	scheme, _, _ := strings.Cut(kek, ":")
	return scheme
}
