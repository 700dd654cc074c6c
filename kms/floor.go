package kms

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/s3proxy/s3proxy/envelope"
)

// A floor is what `keys rekey` puts under a bucket after the theft of a KEK: a secret with which
// the commitments of all keys are made from then on (envelope.DEK.Under). Whoever held the old KEK
// knows every window key that existed, and could make objects that open under one, but without the
// secret cannot commit to any key. While the floor is open, keys committed to without it, or with
// the previous floor, are accepted too, so that their objects can be encrypted again. Once it is
// closed, they no longer are.
//
// The floor is kept beside the window records, sealed by the KEK. The context of the sealed data
// contains everything that the floor says: the store can remove the floor or put an older one back,
// but cannot change it.

// Floors stores the floors of buckets. The Keyring returns its errors as they are.
type Floors interface {
	// GetFloor returns a bucket's floor and the store's ETag for it, or ErrNoFloor.
	GetFloor(ctx context.Context, bucket string) (floor []byte, etag string, err error)
	// PutFloor replaces the floor that has this ETag; "" stands for no floor. If something
	// else is stored, it answers ErrRaced.
	PutFloor(ctx context.Context, bucket, etag string, floor []byte) error
}

var (
	// ErrNoFloor is what [Floors] must answer when a bucket has none.
	ErrNoFloor = errors.New("no floor")
	// ErrRaced is what [Floors] must answer when somebody else has changed the floor.
	ErrRaced = errors.New("somebody else has changed the floor")
	// ErrBelowFloor says that a key was committed to before the bucket's floor was closed.
	ErrBelowFloor = fmt.Errorf("%w: it is from before keys rekey replaced the bucket's keys", envelope.ErrCommitment)
)

// What a floor is bound to; see docs/FORMAT.md.
const (
	floorOpen   = "open"
	floorClosed = "closed"
	floorIDInfo = "s3proxy floor id v1"
	noPrevious  = "none"

	// maxRefused limits the number of KEKs that a floor refuses, so that its record stays below the
	// size limit for reading.
	maxRefused = 64
)

// floor is an opened floorRecord.
type floor struct {
	raw      []byte   // the record
	keks     []string // KEKs that wrap it
	id       string
	closed   bool
	secret   []byte
	previous *floorSecret // the floor before an open floor; nil if there was none
	refused  []string
}

type floorSecret struct {
	id     string
	secret []byte
}

// secrets returns the secrets that a key may be committed to with, the current one first. A nil
// secret stands for no floor.
func (f *floor) secrets() [][]byte {
	switch {
	case f == nil:
		return [][]byte{nil}
	case f.closed:
		return [][]byte{f.secret}
	case f.previous == nil:
		return [][]byte{f.secret, nil}
	}
	return [][]byte{f.secret, f.previous.secret}
}

// current returns the secret for new keys.
func (f *floor) current() []byte {
	if f == nil {
		return nil
	}
	return f.secret
}

// open reports whether there is an open floor.
func (f *floor) open() bool { return f != nil && !f.closed }

func (f *floor) name() string {
	if f == nil {
		return ""
	}
	return f.id
}

// floorID derives a floor's name from its secret without revealing any of it.
func floorID(secret []byte) string {
	out, err := hkdf.Key(sha256.New, secret, nil, floorIDInfo, 16)
	if err != nil {
		panic("kms: internal error: HKDF: " + err.Error())
	}
	return hex.EncodeToString(out)
}

// openFloor asks the KMS to open what a record seals.
func (k *Keyring) openFloor(ctx context.Context, bucket string, body []byte) (*floor, error) {
	r, err := parseFloor(body)
	if err != nil {
		return nil, err
	}
	secret, err := k.openFloorSecret(ctx, &r.Floor, floorContext(bucket, r))
	if err != nil {
		return nil, err
	}
	f := &floor{raw: body, keks: r.keks(), id: r.Floor.ID, closed: r.State == floorClosed, secret: secret, refused: r.Refused}
	if r.Previous != nil {
		before, err := k.openFloorSecret(ctx, r.Previous, previousContext(bucket, r.Previous.ID, r.Floor.ID))
		if err != nil {
			return nil, err
		}
		f.previous = &floorSecret{r.Previous.ID, before}
	}
	return f, nil
}

func (k *Keyring) openFloorSecret(ctx context.Context, s *sealedFloor, c Context) ([]byte, error) {
	secret, err := k.unwrap(ctx, Wrapped{KEK: s.KEK, Blob: s.Wrapped}, c)
	if err != nil {
		return nil, fmt.Errorf("opening the bucket's floor %s: %w", s.ID, err)
	}
	if floorID(secret) != s.ID {
		clear(secret)
		return nil, fmt.Errorf("%w: the bucket's floor does not match its id", ErrInvalid)
	}
	return secret, nil
}

// sealFloor wraps the floor that r describes under the current version of the key for writing.
func (k *Keyring) sealFloor(ctx context.Context, bucket string, r *floorRecord, secret []byte, previous *floorSecret) ([]byte, error) {
	seal := func(s *sealedFloor, secret []byte, c Context) error {
		w, err := wrap(ctx, k.write, secret, c)
		if err != nil {
			return fmt.Errorf("sealing the bucket's floor: %w", err)
		}
		s.KEK, s.Wrapped = w.KEK, w.Blob
		return nil
	}
	r.Format, r.Floor.ID = recordFormat, floorID(secret)
	if r.Refused == nil {
		r.Refused = []string{}
	}
	r.Previous = nil
	if previous != nil {
		r.Previous = &sealedFloor{ID: previous.id}
		if err := seal(r.Previous, previous.secret, previousContext(bucket, previous.id, r.Floor.ID)); err != nil {
			return nil, err
		}
	}
	if err := seal(&r.Floor, secret, floorContext(bucket, r)); err != nil {
		return nil, err
	}
	if slices.Contains(r.Refused, r.Floor.KEK) { // it would reveal the secret to the thief
		return nil, fmt.Errorf("%w: the key for writing is %s", errRefusedKEK, r.Floor.KEK)
	}
	return encodeFloor(r)
}

// errRefusedKEK says that the key for writing must not seal a floor.
var errRefusedKEK = fmt.Errorf("%w: the floor refuses the key that would wrap it", ErrDenied)

// FloorState describes a bucket's floor without its secret.
type FloorState struct {
	ID      string // "" for none
	Closed  bool
	KEKs    []string // KEKs that wrap it
	Refused []string // KEKs that wrap no key under it
}

// ReadFloor opens a bucket's floor and returns its state. The error is one of the classes in
// errors.go, the context's, or that of Floors.
func (k *Keyring) ReadFloor(ctx context.Context, bucket string) (FloorState, error) {
	if k.floors == nil {
		return FloorState{}, nil
	}
	f, err := k.floors.refresh(ctx, bucket)
	if err != nil || f == nil {
		return FloorState{}, err
	}
	return FloorState{ID: f.id, Closed: f.closed, KEKs: f.keks, Refused: f.refused}, nil
}

// OpenFloor opens a new floor under a bucket, or goes on with the open one that resume names.
// refused are the KEKs that a thief may have: none of them may wrap a key under the floor. It is
// an error if the key for writing is one of them now.
//
// An open floor that resume does not name is an error too: whoever holds an old KEK can plant a
// floor of his own, and could read everything that is encrypted under it. discard replaces it.
func (k *Keyring) OpenFloor(ctx context.Context, bucket string, refused []string, resume string, discard bool) (FloorState, error) {
	for {
		etag, before, err := k.storedFloor(ctx, bucket)
		if err != nil {
			return FloorState{}, err
		}
		var previous *floorSecret
		switch {
		case before.open() && before.id == resume:
			return k.ReadFloor(ctx, bucket)
		case resume != "":
			return FloorState{}, fmt.Errorf("the bucket has no open floor %s", resume)
		case before.open() && !discard:
			return FloorState{}, fmt.Errorf("the bucket has the open floor %s: if it is from a run that was interrupted, go on with --resume; if nobody began one, somebody has planted it: pass --discard-floor", before.id)
		case before.open():
			previous = before.previous
		case before != nil:
			previous = &floorSecret{before.id, before.secret}
			refused = append(slices.Clone(before.refused), refused...)
		}
		secret := make([]byte, envelope.FloorSize)
		_, _ = rand.Read(secret) // never fails
		slices.Sort(refused)
		r := &floorRecord{State: floorOpen, Refused: slices.Compact(slices.Clone(refused))}
		if len(r.Refused) > maxRefused {
			return FloorState{}, fmt.Errorf("%d keys and versions have wrapped what is in the bucket, but a floor has room for %d", len(r.Refused), maxRefused)
		}
		body, err := k.sealFloor(ctx, bucket, r, secret, previous)
		if errors.Is(err, errRefusedKEK) {
			err = fmt.Errorf("%w, which wraps existing keys: first make a new version (--new-version) or name a new key (--kms); if this key was made after the theft, and proxies already write under it, pass --key-is-new", err)
		}
		if err != nil {
			return FloorState{}, err
		}
		if err = k.floors.store.PutFloor(ctx, bucket, etag, body); err == nil {
			return k.ownFloor(ctx, bucket, &floor{raw: body, keks: r.keks(), id: r.Floor.ID, secret: secret, previous: previous, refused: r.Refused})
		}
		if !errors.Is(err, ErrRaced) {
			return FloorState{}, err
		}
	}
}

// ownFloor goes on with the floor that this process has just put, and with no other: the floor seen
// before may be a thief's, and so may the one stored now.
func (k *Keyring) ownFloor(ctx context.Context, bucket string, own *floor) (FloorState, error) {
	k.floors.adopt(bucket, own)
	state, err := k.ReadFloor(ctx, bucket)
	if err == nil && state.ID != own.id {
		err = fmt.Errorf("%w: the floor %s was put, but %s is stored", ErrInvalid, own.id, state.ID)
	}
	return state, err
}

// CloseFloor closes a bucket's floor: keys from before it can no longer be opened. id is the
// floor's name; it is an error if the bucket has another floor.
func (k *Keyring) CloseFloor(ctx context.Context, bucket, id string) error {
	return k.changeFloor(ctx, bucket, func(f *floor) (*floorRecord, *floorSecret, error) {
		switch {
		case f == nil || f.id != id:
			return nil, nil, fmt.Errorf("the bucket's floor is %q, and no longer %s", f.name(), id)
		case f.closed:
			return nil, nil, nil
		}
		return &floorRecord{State: floorClosed, Refused: f.refused}, nil, nil
	})
}

// ErrFloorNotNamed says that a floor was left as it is, because nothing shows that it is the
// bucket's own: rewrapped under a new KEK, a floor that a thief has planted would outlive the
// old KEK.
var ErrFloorNotNamed = errors.New("the settings (floor) do not name the bucket's floor, or it is still open: it was left under its key")

// RewrapFloor rewraps a bucket's floor, if it has one, under the current version of the key for
// writing, unless kek wraps it already. The floor must be closed and one of the FloorPins, or
// the error is ErrFloorNotNamed.
func (k *Keyring) RewrapFloor(ctx context.Context, bucket, kek string) (changed bool, err error) {
	err = k.changeFloor(ctx, bucket, func(f *floor) (*floorRecord, *floorSecret, error) {
		if f == nil {
			return nil, nil, nil
		}
		r, err := parseFloor(f.raw)
		if err != nil || r.Floor.KEK == kek {
			return nil, nil, err
		}
		if r.State != floorClosed || !slices.Contains(k.floors.pins, f.id) {
			return nil, nil, fmt.Errorf("%w: %s", ErrFloorNotNamed, f.id)
		}
		changed = true
		return &floorRecord{State: r.State, Refused: r.Refused}, nil, nil
	})
	return changed && err == nil, err
}

// changeFloor stores what change makes of a bucket's floor. A nil record changes nothing.
func (k *Keyring) changeFloor(ctx context.Context, bucket string, change func(*floor) (*floorRecord, *floorSecret, error)) error {
	if k.floors == nil {
		return nil
	}
	for {
		etag, f, err := k.storedFloor(ctx, bucket)
		if err != nil {
			return err
		}
		r, previous, err := change(f)
		if err != nil || r == nil {
			return err
		}
		body, err := k.sealFloor(ctx, bucket, r, f.secret, previous)
		if err != nil {
			return err
		}
		if err = k.floors.store.PutFloor(ctx, bucket, etag, body); err == nil {
			_, err = k.floors.refresh(ctx, bucket)
			return err
		}
		if !errors.Is(err, ErrRaced) {
			return err
		}
	}
}

// storedFloor returns the bucket's floor as stored now, provided that it may be the bucket's: it
// must follow from the floor seen last and, if any floors are pinned, be one of those. f is nil if
// there is no floor.
func (k *Keyring) storedFloor(ctx context.Context, bucket string) (etag string, f *floor, err error) {
	if k.floors == nil {
		return "", nil, errors.New("this keyring does not support floors")
	}
	for range maxFloorLooks {
		f, err = k.floors.refresh(ctx, bucket)
		if err != nil {
			return "", nil, err
		}
		body, etag, err := k.floors.store.GetFloor(ctx, bucket)
		if errors.Is(err, ErrNoFloor) && f == nil {
			return "", nil, nil
		}
		if err != nil {
			return "", nil, err
		}
		if f != nil && bytes.Equal(body, f.raw) {
			return etag, f, nil
		}
	}
	return "", nil, fmt.Errorf("%w each time that it was read, or what is stored may not be the bucket's floor", ErrRaced)
}

// maxFloorLooks limits how often to read a floor that keeps changing in between.
const maxFloorLooks = 5
