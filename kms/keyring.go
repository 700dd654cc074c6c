package kms

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Records stores window records: the second wrapped form of a window key, in the bucket whose
// objects need it. Its methods must be safe for concurrent use. The Keyring returns their
// errors as they are.
type Records interface {
	// CheckBucket is called before a window is made. An error means that nothing can be written to
	// the bucket; then the KMS is not called and no record is put.
	CheckBucket(ctx context.Context, bucket string) error
	// PutRecord stores a record unless there is one with this id, which also counts as success.
	PutRecord(ctx context.Context, bucket, id string, record []byte) error
	// GetRecord returns a record, or ErrNoRecord.
	GetRecord(ctx context.Context, bucket, id string) ([]byte, error)
}

// Config says how a Keyring works.
type Config struct {
	Write   Key     // wraps new keys, and unwraps
	Read    []Key   // further keys that may unwrap
	Records Records // required unless the window is 0; nil: no record is looked up
	Floors  Floors  // nil: no bucket has a floor

	// FloorPins are the ids of the floors that the Keyring's buckets may have. If it is not nil,
	// each bucket must have one of them, which then counts as closed.
	FloorPins []string

	// A window key serves at most Window and WindowObjects objects, whichever
	// ends first. If either is 0, there are no window keys: the KEK wraps the
	// key of every object itself ("window 0").
	Window        time.Duration
	WindowObjects int

	// Poll is the interval at which the KMS is asked for the current version of Write while window
	// keys are in use, so that new windows begin after a rotation; 0: 10 s.
	Poll time.Duration

	// At most CacheSize unwrapped window keys are kept for reading, each for CacheTTL; the current
	// ones are kept until their window ends. For that long the Keyring may not notice that a KMS
	// has withdrawn a key. If either is 0, no key is kept for reading, but concurrent reads still
	// share one call.
	CacheSize int
	CacheTTL  time.Duration

	// Timeout is how long one exchange with the KMS, and with the store about a window record,
	// may take; 0: 30 s. Drivers may give up earlier.
	Timeout time.Duration

	Now func() time.Time // nil: time.Now
	Log *slog.Logger     // nil: nothing is logged
}

// Keyring makes and opens the keys of objects. It is safe for concurrent use.
type Keyring struct {
	write   Key
	keys    []Key // write first
	records Records
	windows *windows // nil in window 0
	floors  *floors  // nil without Floors
	cache   *cache
	unwraps flights[tink.AEAD]
	timeout timeout

	hits, misses atomic.Uint64 // look-ups of window keys for reading objects
}

// NewKeyring checks c and returns a Keyring. It does not call the KMS.
func NewKeyring(c Config) (*Keyring, error) {
	if c.Write == nil {
		return nil, errors.New("keyring: no key for writing")
	}
	if c.Window < 0 || c.WindowObjects < 0 || c.CacheSize < 0 || c.CacheTTL < 0 || c.Poll < 0 || c.Timeout < 0 {
		return nil, errors.New("keyring: window, window objects, cache size, cache TTL, poll and timeout must not be negative")
	}
	if c.Poll == 0 {
		c.Poll = defaultPoll
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	k := &Keyring{
		write:   c.Write,
		keys:    append([]Key{c.Write}, c.Read...),
		records: c.Records,
		cache:   newCache(c.CacheSize, c.CacheTTL, c.Now),
		timeout: timeout(c.Timeout),
		unwraps: flights[tink.AEAD]{timeout: timeout(c.Timeout)},
	}
	if c.Floors != nil {
		k.floors = newFloors(c, k)
	} else if c.FloorPins != nil {
		return nil, errors.New("keyring: FloorPins need Floors to look them up in")
	}
	if c.Window > 0 && c.WindowObjects > 0 {
		if c.Records == nil {
			return nil, errors.New("keyring: window keys need Records to keep their records in")
		}
		k.windows = newWindows(c, k.cache)
	}
	return k, nil
}

// NewKey makes the key of a new object and wraps it for n. The Metadata is complete but for
// the sealed facts, which the caller adds. While a window lasts it does not call the KMS. The
// error may be the KMS's (one of the classes in errors.go), or that of Records or Floors.
func (k *Keyring) NewKey(ctx context.Context, n Name) (*envelope.DEK, *envelope.Metadata, error) {
	dek, err := envelope.NewDEK()
	if err != nil {
		return nil, nil, fmt.Errorf("making a data key: %w", err)
	}
	if err := k.bindNew(ctx, n.Bucket, dek); err != nil {
		dek.Destroy()
		return nil, nil, err
	}
	m, err := k.WrapKey(ctx, n, dek)
	if err != nil {
		dek.Destroy()
		return nil, nil, err
	}
	return dek, m, nil
}

// bindNew puts a new key under the bucket's floor.
func (k *Keyring) bindNew(ctx context.Context, bucket string, dek *envelope.DEK) error {
	if k.floors == nil {
		return nil
	}
	f, err := k.floors.of(ctx, bucket)
	if err != nil {
		return fmt.Errorf("the bucket's floor: %w", err)
	}
	dek.Under(f.current())
	return nil
}

// IsCurrent reports whether a key that this Keyring made or opened is under the bucket's floor. A
// rekey of the bucket need not replace such a key.
func (k *Keyring) IsCurrent(ctx context.Context, bucket string, dek *envelope.DEK) (bool, error) {
	if k.floors == nil {
		return true, nil
	}
	f, err := k.floors.of(ctx, bucket)
	return err == nil && dek.IsUnder(f.current()), err
}

// refuseKEK refuses to wrap a key that is under the bucket's floor with a KEK that the floor
// refuses because others may have it.
func (k *Keyring) refuseKEK(ctx context.Context, bucket string, dek *envelope.DEK, kek string) error {
	if k.floors == nil || dek.IsUnder(nil) {
		return nil
	}
	f, err := k.floors.of(ctx, bucket)
	if err != nil {
		return err
	}
	if f != nil && dek.IsUnder(f.secret) && slices.Contains(f.refused, kek) {
		return fmt.Errorf("%w: the key for writing still wraps under %s, which has been refused since keys rekey began to replace the bucket's keys", ErrUnavailable, kek)
	}
	return nil
}

// WrapKey wraps an existing key for another name: that of a copy, or of the state object of an
// upload. As in NewKey, the Metadata has no facts, and the errors are the same. The key keeps the
// floor that it was committed to with: the copy of an object below the bucket's floor is below it
// too.
func (k *Keyring) WrapKey(ctx context.Context, n Name, dek *envelope.DEK) (*envelope.Metadata, error) {
	m := &envelope.Metadata{Kind: n.Kind, Commitment: dek.Commitment()}
	if k.windows == nil {
		var w Wrapped
		err := k.timeout.bound(ctx, func(ctx context.Context) error {
			return dek.WithBytes(func(raw []byte) (err error) {
				w, err = wrap(ctx, k.write, raw, n.kekContext())
				return err
			})
		})
		if err != nil {
			return nil, fmt.Errorf("wrapping a data key: %w", err)
		}
		m.KEK, m.DEK = w.KEK, w.Blob
		return m, k.refuseKEK(ctx, n.Bucket, dek, m.KEK)
	}
	w, err := k.windows.take(ctx, n.Bucket)
	if err != nil {
		return nil, err
	}
	// All objects of the window share these slices; nobody may write to them.
	m.KEK, m.Window = w.kek, w.wrapped
	if err := k.refuseKEK(ctx, n.Bucket, dek, m.KEK); err != nil {
		k.windows.end(n.Bucket)
		return nil, err
	}
	if m.DEK, err = dek.Wrap(w.aead, n.windowContext(m).Canonical()); err != nil {
		return nil, fmt.Errorf("wrapping a data key: %w", err)
	}
	return m, nil
}

// OpenKey unwraps the key of an object and checks its commitment. The error is envelope.ErrKey
// if the metadata belongs to another object or was changed, envelope.ErrCommitment
// (ErrBelowFloor among them), one of the classes in errors.go if the KMS refuses or does not
// answer, or that of Records or Floors.
func (k *Keyring) OpenKey(ctx context.Context, n Name, m *envelope.Metadata) (*envelope.DEK, error) {
	if n.Kind != m.Kind {
		return nil, fmt.Errorf("%w: it is of kind %s, not %s", envelope.ErrKey, m.Kind, n.Kind)
	}
	dek, err := k.openDEK(ctx, n, m)
	if err != nil {
		return nil, fmt.Errorf("opening the data key: %w", err)
	}
	if err := k.checkCommitment(ctx, n.Bucket, dek, m.Commitment); err != nil {
		dek.Destroy()
		return nil, err
	}
	return dek, nil
}

func (k *Keyring) checkCommitment(ctx context.Context, bucket string, dek *envelope.DEK, commitment [32]byte) error {
	if k.floors == nil {
		return dek.CheckCommitment(commitment)
	}
	return k.floors.check(ctx, bucket, dek, commitment)
}

func (k *Keyring) openDEK(ctx context.Context, n Name, m *envelope.Metadata) (*envelope.DEK, error) {
	if m.Window != nil {
		aead, err := k.openWindow(ctx, n.Bucket, m)
		if err != nil {
			return nil, err
		}
		return envelope.UnwrapDEK(aead, m.DEK, n.windowContext(m).Canonical())
	}
	var raw []byte
	err := k.timeout.bound(ctx, func(ctx context.Context) (err error) {
		raw, err = k.unwrap(ctx, Wrapped{KEK: m.KEK, Blob: m.DEK}, n.kekContext())
		return err
	})
	if err != nil {
		return nil, err
	}
	defer clear(raw)
	return envelope.DEKFromBytes(raw)
}

// openWindow returns the window key of m: from the cache, the KMS, or the record.
func (k *Keyring) openWindow(ctx context.Context, bucket string, m *envelope.Metadata) (tink.AEAD, error) {
	name := newCacheName(bucket, m.KEK, m.Window)
	if aead, ok := k.inMemory(name, bucket, m); ok {
		k.hits.Add(1)
		return aead, nil
	}
	k.misses.Add(1)
	return k.unwraps.do(ctx, string(name[:]), func(ctx context.Context) (tink.AEAD, error) {
		// A load may have ended since the look above.
		if aead, ok := k.cache.get(name); ok {
			return aead, nil
		}
		raw, err := k.unwrapWindow(ctx, bucket, m)
		if err != nil {
			return nil, err
		}
		defer clear(raw)
		aead, err := newWindowAEAD(raw)
		if err != nil {
			return nil, err
		}
		k.cache.put(name, aead)
		return aead, nil
	})
}

// inMemory returns a window key that is already in memory.
func (k *Keyring) inMemory(name cacheName, bucket string, m *envelope.Metadata) (tink.AEAD, bool) {
	if aead, ok := k.cache.get(name); ok {
		return aead, true
	}
	// A key with which this process still writes may also be used for reading, even if the cache
	// has dropped it and the KMS is unreachable.
	if k.windows != nil && k.cache.enabled() {
		return k.windows.holds(bucket, m)
	}
	return nil, false
}

// unwrapWindow asks the KMS to open the form in the metadata and, if the KMS refuses that for
// good (its version was retired, its key is gone), the record.
func (k *Keyring) unwrapWindow(ctx context.Context, bucket string, m *envelope.Metadata) ([]byte, error) {
	raw, refused := k.unwrap(ctx, Wrapped{KEK: m.KEK, Blob: m.Window}, bucketContext(bucket))
	if refused == nil {
		return raw, nil
	}
	if !Permanent(refused) || k.records == nil {
		return nil, refused
	}
	id := hex.EncodeToString(m.WindowID())
	record, err := k.records.GetRecord(ctx, bucket, id)
	if errors.Is(err, ErrNoRecord) {
		return nil, fmt.Errorf("%w (and there is no window record %s)", refused, id)
	}
	if err != nil {
		return nil, err
	}
	raw, err = k.unwrapRecord(ctx, bucket, id, record)
	if err != nil {
		return nil, fmt.Errorf("window record %s: %w (tried after: %v)", id, err, refused)
	}
	return raw, nil
}

func (k *Keyring) unwrapRecord(ctx context.Context, bucket, id string, record []byte) ([]byte, error) {
	w, err := parseRecord(record)
	if err != nil {
		return nil, err
	}
	return k.unwrap(ctx, w, contextOfRecord(bucket, id, w.Blob))
}

// OpenRecord checks that a window record opens with a configured key. id is the record's name,
// in hexadecimal. The error is one of the classes in errors.go, or the context's.
func (k *Keyring) OpenRecord(ctx context.Context, bucket, id string, record []byte) error {
	return k.timeout.bound(ctx, func(ctx context.Context) error {
		raw, err := k.unwrapRecord(ctx, bucket, id, record)
		if err != nil {
			return fmt.Errorf("window record %s: %w", id, err)
		}
		clear(raw)
		return nil
	})
}

// unwrap asks the keys that may have made w, one after another. A key that does not answer
// outweighs all refusals: without its answer the result is unknown.
func (k *Keyring) unwrap(ctx context.Context, w Wrapped, c Context) ([]byte, error) {
	var refusals []error
	var unanswered error
	for _, key := range k.candidates(w.KEK) {
		raw, err := key.Unwrap(ctx, w, c)
		if err == nil && len(raw) != envelope.KeySize {
			clear(raw)
			err = fmt.Errorf("%w: it contains %d bytes, not %d", ErrInvalid, len(raw), envelope.KeySize)
		}
		switch {
		case err == nil:
			return raw, nil
		case ctx.Err() != nil:
			return nil, err
		case Permanent(err):
			refusals = append(refusals, err)
		default:
			unanswered = err
		}
	}
	if unanswered != nil {
		return nil, unanswered
	}
	if len(refusals) == 0 {
		return nil, fmt.Errorf("%w: no configured key has the scheme of %q", ErrNotFound, w.KEK)
	}
	return nil, errors.Join(refusals...)
}

// candidates returns the configured keys of kek's scheme, those with exactly its URI first. The
// others are asked too, because a key may have several names (an AWS alias).
func (k *Keyring) candidates(kek string) []Key {
	base, _, _ := strings.Cut(kek, "#")
	var exact, others []Key
	for _, key := range k.keys {
		if key.URI() == base {
			exact = append(exact, key)
		} else if schemeOf(key.URI()) == schemeOf(base) {
			others = append(others, key)
		}
	}
	return append(exact, others...)
}

// Check fails unless the key for writing can wrap and unwrap now. The error is one of the
// classes in errors.go, or the context's.
func (k *Keyring) Check(ctx context.Context) error {
	return k.write.Check(ctx)
}

// ForgetBucket must be called after a bucket was deleted. The window's record is gone with it, so
// the next write to a bucket of that name must make a new window and record.
func (k *Keyring) ForgetBucket(bucket string) {
	if k.floors != nil {
		k.floors.forget(bucket)
	}
	if k.windows != nil {
		k.windows.forget(bucket)
	}
}

// Close puts the records of the current windows once more, waits for background work, and
// drops all keys. It stops waiting when ctx is done. The error joins those of the records that
// could not be put. Afterwards the Keyring makes no keys (ErrUnavailable); OpenKey still works,
// without a cache.
func (k *Keyring) Close(ctx context.Context) error {
	var err error
	if k.windows != nil {
		err = k.windows.close(ctx)
	}
	k.cache.close()
	return err
}
