package kms_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
)

// mustRewrap rewraps the record of an object's window, in place.
func (f *fixture) mustRewrap(k *kms.Keyring, bucket, id string) (kek string, changed bool) {
	f.t.Helper()
	r, err := k.NewRewrapping(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	record, kek, changed, err := r.Record(f.t.Context(), bucket, id, f.records.records[bucket+"/"+id])
	if err != nil {
		f.t.Fatal(err)
	}
	if changed != (record != nil) {
		f.t.Errorf("changed %v, and %d bytes", changed, len(record))
	}
	if changed {
		f.records.set(bucket, id, record)
		if got, err := kms.RecordKEK(record); err != nil || got != kek {
			f.t.Errorf("the record says %q (%v), the answer %q", got, err, kek)
		}
	}
	return kek, changed
}

func TestARecordThatWasRewrappedOpensItsObjectWhenTheOldVersionIsGone(t *testing.T) {
	for _, inside := range []bool{true, false} {
		t.Run(fmt.Sprint("inside the KMS: ", inside), func(t *testing.T) {
			f := newFixture(t, nil)
			m := f.object("photos", "a")
			rich := &richKey{fakeKey: f.key}
			ring := f.another(func(c *kms.Config) {
				c.CacheSize = 0
				if inside {
					c.Write = rich
				}
			})
			if kek, changed := f.mustRewrap(ring, "photos", id(m)); changed || kek != "fake://a/key#v1" {
				t.Errorf("before the rotation: %s, changed %v", kek, changed)
			}
			f.key.rotate("v2")
			before := bytes.Clone(f.records.records["photos/"+id(m)])
			if kek, changed := f.mustRewrap(ring, "photos", id(m)); !changed || kek != "fake://a/key#v2" {
				t.Errorf("after the rotation: %s, changed %v", kek, changed)
			}
			if kek, changed := f.mustRewrap(ring, "photos", id(m)); changed || kek != "fake://a/key#v2" {
				t.Errorf("a second time: %s, changed %v", kek, changed)
			}
			f.key.retire("v1")
			if _, err := ring.OpenKey(t.Context(), name("photos", "a"), m); err != nil {
				t.Errorf("OpenKey: %v", err)
			}
			if err := ring.OpenRecord(t.Context(), "photos", id(m), before); err == nil {
				t.Error("the old record still opens, so the test proves nothing")
			}
		})
	}
}

func TestAKMSThatCanRewrapDoesSo(t *testing.T) {
	f := newFixture(t, nil)
	m := f.object("photos", "a")
	rich := &richKey{fakeKey: f.key}
	ring := f.another(func(c *kms.Config) { c.Write = rich })
	f.key.rotate("v2")
	f.mustRewrap(ring, "photos", id(m))
	f.key.rotate("v3")
	f.mustRewrap(ring, "photos", id(m))
	if rich.rewraps != 2 {
		t.Errorf("%d of 2 re-wraps were inside the KMS", rich.rewraps)
	}
	// The KMS may forbid it: then the key is unwrapped and wrapped.
	rich.failRewrap = fmt.Errorf("fake: %w", kms.ErrDenied)
	f.key.rotate("v4")
	if kek, changed := f.mustRewrap(ring, "photos", id(m)); !changed || kek != "fake://a/key#v4" {
		t.Errorf("%s, changed %v", kek, changed)
	}
	// An outage is not a refusal.
	rich.failRewrap = fmt.Errorf("fake: %w", kms.ErrUnavailable)
	f.key.rotate("v5")
	r, err := ring.NewRewrapping(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := r.Record(t.Context(), "photos", id(m), f.records.records["photos/"+id(m)]); !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("Record: %v, want %v", err, kms.ErrUnavailable)
	}
}

func TestARecordMovesToAnotherKMS(t *testing.T) {
	f := newFixture(t, nil)
	m := f.object("photos", "a")
	for _, uri := range []string{"fake://another/key", "other://key"} { // with the same scheme, and another
		to := newFakeKey(uri)
		// A key that can rewrap, but not what this other KMS has wrapped.
		ring := f.another(func(c *kms.Config) { c.Write, c.Read = &richKey{fakeKey: to}, []kms.Key{f.key} })
		record := f.records.records["photos/"+id(m)]
		if kek, changed := f.mustRewrap(ring, "photos", id(m)); !changed || kek != uri+"#v1" {
			t.Errorf("%s, changed %v", kek, changed)
		}
		alone := f.another(func(c *kms.Config) { c.Write, c.CacheSize = to, 0 })
		if _, err := alone.OpenKey(t.Context(), name("photos", "a"), m); err != nil {
			t.Errorf("with only %s: %v", uri, err)
		}
		f.records.set("photos", id(m), record)
	}
}

func TestARecordThatDoesNotOpenIsNeverGiven(t *testing.T) {
	f := newFixture(t, nil)
	m, other := f.object("photos", "a"), f.object("copies", "a")
	record := f.records.records["photos/"+id(m)]
	rich := &richKey{fakeKey: f.key}
	inside := f.another(func(c *kms.Config) { c.Write = rich })
	// First into a record's own context, which the KMS can rewrap inside.
	f.key.rotate("v2")
	f.mustRewrap(f.Keyring, "photos", id(m))
	own := f.records.records["photos/"+id(m)]
	f.key.rotate("v3")
	foreign, err := f.key.Wrap(t.Context(), []byte("another key of 32 bytes, indeed."), kms.Context{"bucket": "photos", "id": id(other)})
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		ring       *kms.Keyring
		bucket, id string
		record     []byte
		spoil      func(kms.Wrapped) kms.Wrapped
		want       error
	}{
		"another bucket":          {f.Keyring, "copies", id(m), record, nil, kms.ErrInvalid},
		"another bucket, own":     {f.Keyring, "copies", id(m), own, nil, kms.ErrInvalid},
		"another id":              {f.Keyring, "photos", id(other), record, nil, kms.ErrInvalid},
		"another id, own":         {f.Keyring, "photos", id(other), own, nil, kms.ErrInvalid},
		"another id, inside":      {inside, "photos", id(other), own, nil, kms.ErrInvalid},
		"no record":               {f.Keyring, "photos", id(m), []byte("{}"), nil, kms.ErrInvalid},
		"nothing":                 {f.Keyring, "photos", id(m), nil, nil, kms.ErrInvalid},
		"an unknown version":      {f.Keyring, "photos", id(m), recordOf("fake://a/key#v9", []byte("v9:x")), nil, kms.ErrNotFound},
		"an unknown KMS":          {f.Keyring, "photos", id(m), recordOf("vault://a/key#9", []byte("x")), nil, kms.ErrNotFound},
		"a KMS that gives rubble": {inside, "photos", id(m), own, func(w kms.Wrapped) kms.Wrapped { w.Blob[9] ^= 1; return w }, kms.ErrInvalid},
		"a KMS that mislabels":    {inside, "photos", id(m), own, func(w kms.Wrapped) kms.Wrapped { w.KEK = "fake://a/key#v1"; return w }, kms.ErrInvalid},
		"a KMS that exchanges":    {inside, "photos", id(m), own, func(kms.Wrapped) kms.Wrapped { return foreign }, kms.ErrInvalid},
		"a KMS that does nothing": {inside, "photos", id(m), own, func(w kms.Wrapped) kms.Wrapped { w.KEK = "fake://a/key#v2"; return w }, kms.ErrUnavailable},
	} {
		rich.spoil = c.spoil
		r, err := c.ring.NewRewrapping(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got, _, changed, err := r.Record(t.Context(), c.bucket, c.id, c.record)
		if !errors.Is(err, c.want) || got != nil || changed {
			t.Errorf("%s: %d bytes, changed %v, %v; want %v", what, len(got), changed, err, c.want)
		}
	}
	// The KMS becomes unreachable before the new record has been opened for the check: that is not
	// a refusal.
	rich.spoil = func(w kms.Wrapped) kms.Wrapped {
		f.key.setFail(fmt.Errorf("fake: %w", kms.ErrUnavailable))
		return w
	}
	r, err := inside.NewRewrapping(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, _, _, err := r.Record(t.Context(), "photos", id(m), own); !errors.Is(err, kms.ErrUnavailable) || kms.Permanent(err) || got != nil {
		t.Errorf("with the KMS gone in the middle: %d bytes, %v", len(got), err)
	}
}

func TestRewrappingEndsWithItsContextAndWithTheKMS(t *testing.T) {
	f := newFixture(t, nil)
	m := f.object("photos", "a")
	f.key.rotate("v2")
	r, err := f.NewRewrapping(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.KEK() != "fake://a/key#v2" {
		t.Errorf("KEK %s", r.KEK())
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	record := f.records.records["photos/"+id(m)]
	if _, _, _, err := r.Record(cancelled, "photos", id(m), record); !errors.Is(err, context.Canceled) {
		t.Errorf("Record: %v", err)
	}
	f.key.setFail(fmt.Errorf("fake: %w", kms.ErrUnavailable))
	if _, _, _, err := r.Record(t.Context(), "photos", id(m), record); !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("Record: %v", err)
	}
	if _, err := f.NewRewrapping(t.Context()); !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("NewRewrapping: %v", err)
	}
}

func TestManyRecordsAreRewrappedAtOnceByOneQuestion(t *testing.T) {
	f := newFixture(t, func(c *kms.Config) { c.WindowObjects = 1 })
	var windows []*envelope.Metadata
	for range 50 {
		windows = append(windows, f.object("photos", "a"))
	}
	f.key.rotate("v2")
	asked := f.key.asked()
	r, err := f.NewRewrapping(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for _, m := range windows {
		all.Go(func() {
			record, err := f.records.GetRecord(t.Context(), "photos", id(m))
			if err != nil {
				t.Error(err)
				return
			}
			record, _, changed, err := r.Record(t.Context(), "photos", id(m), record)
			if err != nil || !changed {
				t.Errorf("changed %v, %v", changed, err)
			}
			f.records.set("photos", id(m), record)
		})
	}
	all.Wait()
	if f.key.asked()-asked != 1 {
		t.Errorf("%d questions, want 1", f.key.asked()-asked)
	}
	f.key.retire("v1")
	alone := f.another(func(c *kms.Config) { c.CacheSize = 0 })
	for _, m := range windows {
		if _, err := alone.OpenKey(t.Context(), name("photos", "a"), m); err != nil {
			t.Error(err)
		}
	}
}
