package kms

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/s3proxy/s3proxy/envelope"
)

const (
	// floorEvery is how long a look at a bucket's floor remains valid. A rekey waits longer before
	// it relies on what other processes do.
	floorEvery = 5 * time.Second
	// floorAgain is the shortest time between two looks made because a commitment fits no floor.
	floorAgain = time.Second
	// maxFloors limits how many buckets' floors are remembered.
	maxFloors = 10_000
)

// floors remembers the floor of each bucket in use.
type floors struct {
	ring  *Keyring
	store Floors
	pins  []string // ids that the floor may have; nil: any, or no floor
	now   func() time.Time
	log   *slog.Logger
	loads flights[*floor]

	mu    sync.Mutex
	known *simplelru.LRU[string, *knownFloor]
}

type knownFloor struct {
	floor *floor // nil: the bucket has none
	at    time.Time
}

func newFloors(c Config, k *Keyring) *floors {
	// It fails only if maxFloors is not positive.
	known, _ := simplelru.NewLRU[string, *knownFloor](maxFloors, nil)
	return &floors{ring: k, store: c.Floors, pins: c.FloorPins, now: c.Now, log: c.Log, known: known, loads: flights[*floor]{timeout: timeout(c.Timeout)}}
}

// of returns a bucket's floor, no older than floorEvery.
func (s *floors) of(ctx context.Context, bucket string) (*floor, error) {
	if k, ok := s.look(bucket); ok && s.now().Sub(k.at) < floorEvery {
		return k.floor, nil
	}
	return s.refresh(ctx, bucket)
}

func (s *floors) look(bucket string) (knownFloor, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.known.Get(bucket)
	if !ok {
		return knownFloor{}, false
	}
	return *k, true
}

// again looks once more because a commitment fits none of the known floors.
func (s *floors) again(ctx context.Context, bucket string) (*floor, error) {
	if k, ok := s.look(bucket); ok && s.now().Sub(k.at) < floorAgain {
		return k.floor, nil
	}
	return s.refresh(ctx, bucket)
}

// refresh reads a bucket's floor. While the store or the KMS does not answer, the floor that was
// seen before still counts; if none was seen, nothing can be read or written.
func (s *floors) refresh(ctx context.Context, bucket string) (*floor, error) {
	return s.loads.do(ctx, bucket, func(ctx context.Context) (*floor, error) {
		before, seen := s.look(bucket)
		f, err := s.load(ctx, bucket, before.floor)
		switch {
		case err == nil:
		case seen && before.floor != nil || seen && !Permanent(err):
			s.log.Warn("the bucket's floor cannot be read; the one that was seen last still counts", "bucket", bucket, "floor", before.floor.name(), "error", err)
			f = before.floor
		default:
			return nil, err
		}
		if f, err = s.pinned(f, before.floor); err != nil {
			return nil, err
		}
		s.adopt(bucket, f)
		return f, nil
	})
}

// load reads the stored floor. before is what was seen last.
func (s *floors) load(ctx context.Context, bucket string, before *floor) (*floor, error) {
	body, _, err := s.store.GetFloor(ctx, bucket)
	if errors.Is(err, ErrNoFloor) {
		if before != nil {
			return nil, fmt.Errorf("%w: the store no longer has the floor %s", ErrNoFloor, before.id)
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if before != nil && bytes.Equal(body, before.raw) {
		return before, nil
	}
	f, err := s.ring.openFloor(ctx, bucket, body)
	if err != nil {
		return nil, err
	}
	if before == nil {
		return f, nil
	}
	// A holder of a KEK that the previous floor refuses is exactly whom that floor protects
	// against.
	for _, kek := range f.keks {
		if slices.Contains(before.refused, kek) {
			return nil, fmt.Errorf("%w: %s wraps the floor %s, but the floor %s refuses it", ErrInvalid, kek, f.id, before.id)
		}
	}
	switch {
	case !before.closed:
	case f.id == before.id && !f.closed:
		return nil, fmt.Errorf("%w: the floor %s was closed, but is open in the store", ErrInvalid, f.id)
	case f.id != before.id && !f.closed && (f.previous == nil || f.previous.id != before.id):
		return nil, fmt.Errorf("%w: the floor %s does not follow %s, which was closed", ErrInvalid, f.id, before.id)
	}
	return f, nil
}

// adopt remembers a floor as the bucket's; nil means that there is none.
func (s *floors) adopt(bucket string, f *floor) {
	if before, seen := s.look(bucket); seen && before.floor.name() != f.name() && s.ring.windows != nil {
		s.ring.windows.end(bucket) // the thief may have the key of an earlier window
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known.Add(bucket, &knownFloor{f, s.now()})
}

// pinned refuses a floor that neither is a configured one nor follows one. It treats a configured
// floor as closed, whatever the store says.
func (s *floors) pinned(f, before *floor) (*floor, error) {
	if s.pins == nil {
		return f, nil
	}
	switch {
	case f == nil:
		return nil, fmt.Errorf("%w: the settings name a floor (%s), but the store has none for the bucket", ErrInvalid, s.pins[0])
	case slices.Contains(s.pins, f.id):
		closed := *f // f itself may be in use
		closed.closed = true
		return &closed, nil
	case !f.closed && f.previous != nil && slices.Contains(s.pins, f.previous.id): // a rekey in progress
		return f, nil
	case before != nil && before.id == f.id: // it was already seen to follow a pinned floor
		return f, nil
	}
	return nil, fmt.Errorf("%w: the settings do not name the floor %s, but others", ErrInvalid, f.id)
}

// forget drops the floor of a deleted bucket, which is gone with the bucket.
func (s *floors) forget(bucket string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known.Remove(bucket)
}

// check finds the floor with which a key was committed to, and binds the key to it.
func (s *floors) check(ctx context.Context, bucket string, dek *envelope.DEK, commitment [32]byte) error {
	f, err := s.of(ctx, bucket)
	if err != nil {
		return err
	}
	if fits(f, dek, commitment) {
		return nil
	}
	if f, err = s.again(ctx, bucket); err != nil {
		return err
	}
	if fits(f, dek, commitment) {
		return nil
	}
	if f != nil {
		return ErrBelowFloor
	}
	return envelope.ErrCommitment
}

func fits(f *floor, dek *envelope.DEK, commitment [32]byte) bool {
	for _, secret := range f.secrets() {
		dek.Under(secret)
		if dek.CheckCommitment(commitment) == nil {
			return true
		}
	}
	return false
}
