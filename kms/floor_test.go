package kms_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
)

// fakeFloors is a store in memory.
type fakeFloors struct {
	mu   sync.Mutex
	all  map[string][]byte
	gets int
	err  error
}

func (f *fakeFloors) GetFloor(_ context.Context, bucket string) ([]byte, string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gets++
	body, ok := f.all[bucket]
	switch {
	case f.err != nil:
		return nil, "", f.err
	case !ok:
		return nil, "", kms.ErrNoFloor
	}
	return bytes.Clone(body), etagOf(body), nil
}

func (f *fakeFloors) PutFloor(_ context.Context, bucket, etag string, body []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now, ok := f.all[bucket]; ok && etagOf(now) != etag || !ok && etag != "" {
		return kms.ErrRaced
	}
	f.all[bucket] = bytes.Clone(body)
	return nil
}

func (f *fakeFloors) set(bucket string, body []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if body == nil {
		delete(f.all, bucket)
		return
	}
	f.all[bucket] = body
}

func (f *fakeFloors) stored(bucket string) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return bytes.Clone(f.all[bucket])
}

func etagOf(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }

// floorFixture is a KMS, a store, and a clock that several keyrings share.
type floorFixture struct {
	*fixture
	floors *fakeFloors
	now    time.Time
}

func newFloorFixture(t *testing.T) *floorFixture {
	f := &floorFixture{floors: &fakeFloors{all: map[string][]byte{}}, now: time.Unix(1e9, 0)}
	f.fixture = newFixture(t, nil)
	f.key.rotate("v1")
	return f
}

// ring makes a replica; change may change its settings.
func (f *floorFixture) ring(change func(*kms.Config)) *kms.Keyring {
	return f.another(func(c *kms.Config) {
		c.Floors, c.Now = f.floors, func() time.Time { return f.now }
		if change != nil {
			change(c)
		}
	})
}

func (f *floorFixture) later() { f.now = f.now.Add(time.Minute) }

func (f *floorFixture) make(k *kms.Keyring, key string) *envelope.Metadata {
	f.t.Helper()
	_, m, err := k.NewKey(f.t.Context(), name("photos", key))
	if err != nil {
		f.t.Fatal(err)
	}
	return m
}

// opens returns the result of opening an object's key.
func (f *floorFixture) opens(k *kms.Keyring, key string, m *envelope.Metadata) error {
	dek, err := k.OpenKey(f.t.Context(), name("photos", key), m)
	if err == nil {
		dek.Destroy()
	}
	return err
}

func (f *floorFixture) mustOpen(k *kms.Keyring, key string, m *envelope.Metadata) {
	f.t.Helper()
	if err := f.opens(k, key, m); err != nil {
		f.t.Errorf("%s: %v", key, err)
	}
}

func (f *floorFixture) mustRefuse(k *kms.Keyring, key string, m *envelope.Metadata) {
	f.t.Helper()
	if err := f.opens(k, key, m); !errors.Is(err, envelope.ErrCommitment) {
		f.t.Errorf("%s is read, or ends with %v", key, err)
	}
}

// begin opens a floor as a rekey does, after a new version of the key.
func (f *floorFixture) begin(k *kms.Keyring, version, old string) kms.FloorState {
	f.t.Helper()
	f.key.rotate(version)
	state, err := k.OpenFloor(f.t.Context(), "photos", []string{"fake://a/key#" + old}, "", false)
	if err != nil {
		f.t.Fatal(err)
	}
	return state
}

func TestBelowAClosedFloorNothingOpens(t *testing.T) {
	f := newFloorFixture(t)
	a, b := f.ring(nil), f.ring(nil)
	before := f.make(a, "before")
	f.mustOpen(b, "before", before)
	floor := f.begin(a, "v2", "v1")
	after := f.make(a, "after")
	// b has not looked yet: the new object reveals that there is a floor to look for.
	f.now = f.now.Add(2 * time.Second)
	f.mustOpen(b, "after", after)
	f.mustOpen(b, "before", before)
	if after.KEK != "fake://a/key#v2" {
		t.Errorf("a window under the floor is wrapped by %s", after.KEK)
	}
	if err := a.CloseFloor(t.Context(), "photos", floor.ID); err != nil {
		t.Fatal(err)
	}
	f.later()
	for _, k := range []*kms.Keyring{a, b, f.ring(nil), f.ring(func(c *kms.Config) { c.FloorPins = []string{floor.ID} })} {
		f.mustOpen(k, "after", after)
		f.mustRefuse(k, "before", before)
	}
	// Window 0 has floors, too.
	zero := f.ring(func(c *kms.Config) { c.Window = 0 })
	f.mustOpen(a, "zero", f.make(zero, "zero"))
}

func TestAWindowFromBeforeAFloorIsNotUsedUnderIt(t *testing.T) {
	f := newFloorFixture(t)
	a, other := f.ring(nil), f.ring(nil)
	before := f.make(a, "before")
	f.begin(other, "v2", "v1")
	f.later()
	after := f.make(a, "after")
	if bytes.Equal(before.Window, after.Window) || after.KEK != "fake://a/key#v2" {
		t.Errorf("the window of %s serves under the floor, wrapped by %s", before.KEK, after.KEK)
	}
	// A replica whose KMS still wraps under the old version makes no key at all.
	f.key.rotate("v1")
	stale := f.ring(nil)
	if _, _, err := stale.NewKey(t.Context(), name("photos", "stale")); !errors.Is(err, kms.ErrUnavailable) || !strings.Contains(err.Error(), "v1") {
		t.Errorf("a key under the floor is wrapped by the old version: %v", err)
	}
}

func TestAKeyKeepsTheFloorThatItWasMadeUnder(t *testing.T) {
	f := newFloorFixture(t)
	a := f.ring(nil)
	dek, err := a.OpenKey(t.Context(), name("photos", "before"), f.make(a, "before"))
	if err != nil {
		t.Fatal(err)
	}
	floor := f.begin(a, "v2", "v1")
	copied, err := a.WrapKey(t.Context(), name("photos", "copy"), dek)
	if err != nil {
		t.Fatal(err)
	}
	f.mustOpen(a, "copy", copied)
	if current, err := a.IsCurrent(t.Context(), "photos", dek); current || err != nil {
		t.Errorf("what is below the floor is taken for current: %v", err)
	}
	if err := a.CloseFloor(t.Context(), "photos", floor.ID); err != nil {
		t.Fatal(err)
	}
	f.later()
	f.mustRefuse(a, "copy", copied)
}

func TestAStoreCannotTakeAFloorBack(t *testing.T) {
	f := newFloorFixture(t)
	a := f.ring(nil)
	before := f.make(a, "before")
	floor := f.begin(a, "v2", "v1")
	open := f.floors.stored("photos")
	after := f.make(a, "after")
	if err := a.CloseFloor(t.Context(), "photos", floor.ID); err != nil {
		t.Fatal(err)
	}
	closed := f.floors.stored("photos")
	pinned := func() *kms.Keyring { return f.ring(func(c *kms.Config) { c.FloorPins = []string{floor.ID} }) }
	edited := func(from, to string) []byte { return bytes.Replace(closed, []byte(from), []byte(to), 1) }
	for what, lie := range map[string][]byte{
		"nothing": nil, "the open one": open, "the closed one, called open": edited(`"closed"`, `"open"`), "another id": edited(floor.ID, strings.Repeat("0", 32)),
		"no refused key": edited(`["fake://a/key#v1"]`, `[]`), "no JSON": []byte("floor"),
	} {
		t.Run(what, func(t *testing.T) {
			f.floors.set("photos", lie)
			f.later()
			f.mustOpen(a, "after", after) // the process that has seen it goes on
			f.mustRefuse(a, "before", before)
			p := pinned()
			if err := f.opens(p, "before", before); err == nil {
				t.Error("with the pin, what is below the floor is read by a process that starts now")
			}
			if what == "the open one" {
				f.mustOpen(p, "after", after)
			}
		})
	}
	f.floors.set("photos", closed)
	f.later()
	f.mustOpen(pinned(), "after", after)
	f.floors.err = fmt.Errorf("%w: the store is away", kms.ErrUnavailable)
	f.later()
	f.mustOpen(a, "after", after)
	f.mustRefuse(a, "before", before)
	if err := f.opens(f.ring(nil), "after", after); !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("a process that has seen no floor reads without one: %v", err)
	}
	if _, _, err := f.ring(nil).NewKey(t.Context(), name("photos", "new")); !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("a process that has seen no floor writes without one: %v", err)
	}
}

// Whoever has the old KEK can make a floor, even before a rekey begins.
func TestAPlantedFloorIsNotTakenOver(t *testing.T) {
	f := newFloorFixture(t)
	f.begin(f.ring(nil), "v1", "v0") // the thief's
	planted := f.floors.stored("photos")
	id := strings.Split(string(planted), `"id":"`)[1][:32]
	f.key.rotate("v2")
	a := f.ring(nil)
	if _, err := a.OpenFloor(t.Context(), "photos", []string{"fake://a/key#v1"}, "", false); err == nil || !strings.Contains(err.Error(), id) {
		t.Errorf("an open floor that nobody named: %v", err)
	}
	if changed, err := a.RewrapFloor(t.Context(), "photos", "fake://a/key#v2"); changed || !errors.Is(err, kms.ErrFloorNotNamed) {
		t.Errorf("the planted floor is rewrapped under the new version: %v, %v", changed, err)
	}
	state, err := a.OpenFloor(t.Context(), "photos", []string{"fake://a/key#v1"}, "", true)
	if err != nil || state.ID == id {
		t.Errorf("discarded: %+v, %v", state, err)
	}
}

// The thief has the KEK that the floor refuses, and controls the store. A process that has seen the
// floor accepts none of the thief's, neither while the floor is open nor when it is closed.
func TestAFloorSealedByARefusedKEKReplacesNoOther(t *testing.T) {
	for _, closed := range []bool{false, true} {
		for _, his := range []bool{false, true} { // whether the thief's floor is closed
			t.Run(fmt.Sprintf("closed %v, his closed %v", closed, his), func(t *testing.T) {
				f := newFloorFixture(t)
				a := f.ring(nil)
				a0 := f.make(a, "before")
				f.floors.set("photos", nil)
				thief := f.ring(nil)
				state, err := thief.OpenFloor(t.Context(), "photos", nil, "", false)
				if err != nil {
					t.Fatal(err)
				}
				if his {
					if err := thief.CloseFloor(t.Context(), "photos", state.ID); err != nil {
						t.Fatal(err)
					}
				}
				planted, forged := f.floors.stored("photos"), f.make(thief, "forged")
				f.floors.set("photos", nil)
				floor := f.begin(a, "v2", "v1")
				if closed {
					if err := a.CloseFloor(t.Context(), "photos", floor.ID); err != nil {
						t.Fatal(err)
					}
				}
				own := f.floors.stored("photos")
				after := f.make(a, "after")
				f.floors.set("photos", planted)
				f.later()
				f.mustRefuse(a, "forged", forged)
				f.mustOpen(a, "after", after)
				written := f.make(a, "written beside it")
				f.floors.set("photos", own)
				f.later()
				f.mustOpen(f.ring(nil), "written beside it", written)
				if !closed {
					f.mustOpen(a, "before", a0)
				}
			})
		}
	}
}

// A planted floor may refuse the very key that the next floor needs. Discarding it must still lead
// to the new floor, although this process has seen the planted one first.
func TestAPlantedFloorIsReplacedEvenIfItRefusesTheNewKEK(t *testing.T) {
	f := newFloorFixture(t)
	thief := f.ring(nil)
	if _, err := thief.OpenFloor(t.Context(), "photos", []string{"fake://a/key#v2"}, "", false); err != nil {
		t.Fatal(err)
	}
	f.key.rotate("v2")
	a := f.ring(nil)
	state, err := a.OpenFloor(t.Context(), "photos", []string{"fake://a/key#v1"}, "", true)
	if err != nil {
		t.Fatal(err)
	}
	f.later()
	after := f.make(a, "after")
	if err := a.CloseFloor(t.Context(), "photos", state.ID); err != nil {
		t.Fatal(err)
	}
	f.mustOpen(f.ring(nil), "after", after)
}

func TestAFloorHasRoomForTheKEKsThatItRefuses(t *testing.T) {
	f := newFloorFixture(t)
	var keks []string
	for n := range 64 {
		keks = append(keks, fmt.Sprintf("fake://a/key#old%d", n))
	}
	if _, err := f.ring(nil).OpenFloor(t.Context(), "photos", append(keks, "fake://a/key#one more"), "", false); err == nil || f.floors.stored("photos") != nil {
		t.Errorf("a floor that refuses 65 keys: %v", err)
	}
	state, err := f.ring(nil).OpenFloor(t.Context(), "photos", keks, "", false)
	if err != nil || len(state.Refused) != 64 {
		t.Errorf("%d keys: %v", len(state.Refused), err)
	}
}

// A floor sealed by a KEK that it refuses would reveal its secret to the thief.
func TestAFloorIsNotSealedByAKEKThatItRefuses(t *testing.T) {
	f := newFloorFixture(t)
	a := f.ring(nil)
	floor := f.begin(a, "v2", "v1")
	pinned := func(c *kms.Config) { c.FloorPins = []string{floor.ID} }
	open := f.floors.stored("photos")
	f.key.rotate("v1")
	if err := f.ring(nil).CloseFloor(t.Context(), "photos", floor.ID); !errors.Is(err, kms.ErrDenied) || !bytes.Equal(f.floors.stored("photos"), open) {
		t.Errorf("closed under v1: %v", err)
	}
	f.key.rotate("v2")
	if err := a.CloseFloor(t.Context(), "photos", floor.ID); err != nil {
		t.Fatal(err)
	}
	closed := f.floors.stored("photos")
	f.key.rotate("v1")
	if changed, err := f.ring(pinned).RewrapFloor(t.Context(), "photos", "fake://a/key#v1"); changed || !errors.Is(err, kms.ErrDenied) || !bytes.Equal(f.floors.stored("photos"), closed) {
		t.Errorf("rewrapped under v1: %v, %v", changed, err)
	}
}

func TestAFloorThatRefusesTooManyKEKsIsNotParsed(t *testing.T) {
	f := newFloorFixture(t)
	f.begin(f.ring(nil), "v2", "v1")
	many := strings.Repeat(`"fake://a/key#v1",`, 64) + `"fake://a/key#v1"`
	f.floors.set("photos", bytes.Replace(f.floors.stored("photos"), []byte(`"fake://a/key#v1"`), []byte(many), 1))
	if _, _, err := f.ring(nil).NewKey(t.Context(), name("photos", "new")); !errors.Is(err, kms.ErrInvalid) || !strings.Contains(err.Error(), "more than 64") {
		t.Error(err)
	}
}

func TestARekeyGoesOnWithItsFloorAndOneFollowsAnother(t *testing.T) {
	f := newFloorFixture(t)
	a := f.ring(nil)
	first := f.begin(a, "v2", "v1")
	under1 := f.make(a, "under 1")
	again, err := f.ring(nil).OpenFloor(t.Context(), "photos", nil, first.ID, false)
	if err != nil || again.ID != first.ID {
		t.Fatalf("%+v, %v", again, err)
	}
	if _, err := a.OpenFloor(t.Context(), "photos", nil, strings.Repeat("0", 32), false); err == nil {
		t.Error("it goes on with a floor that does not exist")
	}
	if err := a.CloseFloor(t.Context(), "photos", first.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := a.OpenFloor(t.Context(), "photos", []string{"fake://a/key#v2"}, "", false); !errors.Is(err, kms.ErrDenied) {
		t.Errorf("a floor is sealed by a key that it refuses: %v", err)
	}
	second := f.begin(a, "v3", "v2")
	f.later()
	under2 := f.make(a, "under 2")
	f.mustOpen(a, "under 1", under1)
	pinned := f.ring(func(c *kms.Config) { c.FloorPins = []string{first.ID} })
	f.mustOpen(pinned, "under 1", under1)
	f.mustOpen(pinned, "under 2", under2)
	if err := a.CloseFloor(t.Context(), "photos", second.ID); err != nil {
		t.Fatal(err)
	}
	f.later()
	f.mustOpen(a, "under 2", under2)
	f.mustRefuse(a, "under 1", under1)
	if err := f.opens(pinned, "under 2", under2); err != nil { // what it has seen remains accepted
		t.Errorf("a replica with the pin of before: %v", err)
	}
	if err := f.opens(f.ring(func(c *kms.Config) { c.FloorPins = []string{first.ID} }), "under 1", under1); err == nil {
		t.Error("a replica that starts with the pin of before reads what is below the floor")
	}
	both := f.ring(func(c *kms.Config) { c.FloorPins = []string{first.ID, second.ID} })
	f.mustOpen(both, "under 2", under2)

	f.key.rotate("v4")
	if changed, err := both.RewrapFloor(t.Context(), "photos", "fake://a/key#v4"); !changed || err != nil {
		t.Errorf("a pinned floor is not rewrapped: %v", err)
	}
	state, err := f.ring(nil).ReadFloor(t.Context(), "photos")
	if err != nil || state.ID != second.ID || !state.Closed || len(state.KEKs) != 1 || state.KEKs[0] != "fake://a/key#v4" {
		t.Errorf("%+v, %v", state, err)
	}
}

func TestAFloorCostsOneLookInFiveSeconds(t *testing.T) {
	f := newFloorFixture(t)
	a := f.ring(nil)
	m := f.make(a, "k")
	for range 100 {
		f.mustOpen(a, "k", m)
	}
	if f.floors.gets != 1 {
		t.Errorf("%d looks", f.floors.gets)
	}
	f.now = f.now.Add(6 * time.Second)
	f.mustOpen(a, "k", m)
	if f.floors.gets != 2 {
		t.Errorf("%d looks after six seconds", f.floors.gets)
	}
	wrong := *m
	wrong.Commitment[0] ^= 1
	for range 100 {
		f.mustRefuse(a, "k", &wrong)
	}
	if f.floors.gets > 4 {
		t.Errorf("%d looks for commitments that fit nothing", f.floors.gets)
	}
}

// exchangingFloors is a store that replaces each floor that is put.
type exchangingFloors struct {
	*fakeFloors
	instead []byte
}

func (f *exchangingFloors) PutFloor(ctx context.Context, bucket, etag string, body []byte) error {
	err := f.fakeFloors.PutFloor(ctx, bucket, etag, body)
	if err == nil && f.instead != nil {
		f.set(bucket, f.instead)
	}
	return err
}

// Nobody can tell whose floor it is: the key that seals it is not refused by the new floor.
func TestARekeyGoesOnOnlyWithTheFloorThatItHasPut(t *testing.T) {
	f := newFloorFixture(t)
	other := &fakeFloors{all: map[string][]byte{}}
	f.key.rotate("v2")
	if _, err := f.ring(func(c *kms.Config) { c.Floors = other }).OpenFloor(t.Context(), "photos", []string{"fake://a/key#v1"}, "", false); err != nil {
		t.Fatal(err)
	}
	a := f.ring(func(c *kms.Config) { c.Floors = &exchangingFloors{f.floors, other.stored("photos")} })
	if state, err := a.OpenFloor(t.Context(), "photos", []string{"fake://a/key#v1"}, "", false); !errors.Is(err, kms.ErrInvalid) {
		t.Errorf("it goes on with the floor %s, which it did not put: %v", state.ID, err)
	}
}
