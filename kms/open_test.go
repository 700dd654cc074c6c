package kms_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
)

func TestConcurrentReadersOfOneWindowMakeOneUnwrap(t *testing.T) {
	f := newFixture(t, nil)
	var objects []*envelope.Metadata
	for i := range 50 {
		objects = append(objects, f.object("photos", fmt.Sprint(i)))
	}
	for what, change := range map[string]func(*kms.Config){"cache": nil, "no cache": func(c *kms.Config) { c.CacheTTL = 0 }} {
		synctest.Test(t, func(t *testing.T) {
			inner := &fixture{t: t, key: f.key, records: f.records, log: f.log}
			reader := inner.another(change)
			before := f.key.unwrapped()
			release := f.key.hold()
			for i, m := range objects {
				go func() {
					if _, err := reader.OpenKey(t.Context(), name("photos", fmt.Sprint(i)), m); err != nil {
						t.Errorf("%s: %v", what, err)
					}
				}()
			}
			synctest.Wait()
			release()
			synctest.Wait()
			if got := f.key.unwrapped() - before; got != 1 {
				t.Errorf("%s: %d unwraps, want 1", what, got)
			}
		})
	}
}

func TestAReaderWhoGivesUpDoesNotFailTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		m := f.object("photos", "a")
		reader := f.another(nil)
		release := f.key.hold()
		first, cancel := context.WithCancel(t.Context())
		var firstErr, secondErr error
		var both sync.WaitGroup
		both.Go(func() { _, firstErr = reader.OpenKey(first, name("photos", "a"), m) })
		synctest.Wait() // the first caller's load is in progress
		both.Go(func() { _, secondErr = reader.OpenKey(t.Context(), name("photos", "a"), m) })
		synctest.Wait()
		cancel()
		synctest.Wait()
		release()
		both.Wait()
		if !errors.Is(firstErr, context.Canceled) {
			t.Errorf("the caller that gave up: %v, want %v", firstErr, context.Canceled)
		}
		if secondErr != nil {
			t.Errorf("the caller that stayed: %v", secondErr)
		}
		if f.key.unwrapped() != 1 {
			t.Errorf("%d unwraps, want 1", f.key.unwrapped())
		}
	})
}

func TestAWindowKeyIsCachedForItsTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		m := f.object("photos", "a")
		reader := f.another(func(c *kms.Config) { c.CacheTTL = 10 * time.Minute })
		open := func(want int) {
			t.Helper()
			if _, err := reader.OpenKey(t.Context(), name("photos", "a"), m); err != nil {
				t.Fatal(err)
			}
			if got := f.key.unwrapped(); got != want {
				t.Errorf("%d unwraps, want %d", got, want)
			}
		}
		open(1)
		time.Sleep(10*time.Minute - 1)
		open(1)
		time.Sleep(time.Nanosecond)
		open(2)
	})
}

func TestTheCachesTTLIsByItsClock(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f := newFixture(t, nil)
	m := f.object("photos", "a")
	reader := f.another(func(c *kms.Config) { c.Now = func() time.Time { return now } })
	for _, want := range []int{1, 1, 2, 2} {
		if _, err := reader.OpenKey(t.Context(), name("photos", "a"), m); err != nil {
			t.Fatal(err)
		}
		if got := f.key.unwrapped(); got != want {
			t.Errorf("at %v: %d unwraps, want %d", now, got, want)
		}
		now = now.Add(30 * time.Minute)
	}
}

func TestTheCacheIsBoundedAndForgetsTheLeastRecentlyUsed(t *testing.T) {
	f := newFixture(t, func(c *kms.Config) { c.WindowObjects = 1 })
	a, b, c := f.object("photos", "a"), f.object("photos", "b"), f.object("photos", "c")
	reader := f.another(func(c *kms.Config) { c.CacheSize = 2 })
	for i, step := range []struct {
		key  string
		m    *envelope.Metadata
		want int
	}{{"a", a, 1}, {"b", b, 2}, {"a", a, 2}, {"c", c, 3}, {"a", a, 3}, {"b", b, 4}} {
		if _, err := reader.OpenKey(t.Context(), name("photos", step.key), step.m); err != nil {
			t.Fatal(err)
		}
		if got := f.key.unwrapped(); got != step.want {
			t.Errorf("step %d, object %s: %d unwraps, want %d", i, step.key, got, step.want)
		}
	}
}

func TestAFailedUnwrapIsAskedAgain(t *testing.T) {
	f := newFixture(t, nil)
	m := f.object("photos", "a")
	reader := f.another(nil)
	for _, class := range []error{kms.ErrUnavailable, kms.ErrDenied} {
		f.key.setFail(class)
		f.records.set("photos", id(m), nil)
		if _, err := reader.OpenKey(t.Context(), name("photos", "a"), m); !errors.Is(err, class) {
			t.Errorf("OpenKey: %v, want %v", err, class)
		}
	}
	f.key.setFail(nil)
	if _, err := reader.OpenKey(t.Context(), name("photos", "a"), m); err != nil {
		t.Errorf("after the KMS came back: %v", err)
	}
}

func TestTheWritersOwnWindowIsReadWithoutTheKMS(t *testing.T) {
	f := newFixture(t, nil)
	m := f.object("photos", "a")
	if _, err := f.OpenKey(t.Context(), name("photos", "a"), m); err != nil {
		t.Fatal(err)
	}
	if f.key.unwrapped() != 0 {
		t.Errorf("%d unwraps, want 0", f.key.unwrapped())
	}
}

// rewrap does to a record what a rotation does: it wraps the same window key again.
func (f *fixture) rewrap(bucket string, m *envelope.Metadata) {
	f.t.Helper()
	raw, err := f.key.Unwrap(f.t.Context(), kms.Wrapped{KEK: m.KEK, Blob: m.Window}, kms.Context{"bucket": bucket})
	if err != nil {
		f.t.Fatal(err)
	}
	f.key.rotate("v2")
	w, err := f.key.Wrap(f.t.Context(), raw, kms.Context{"bucket": bucket, "id": id(m)})
	if err != nil {
		f.t.Fatal(err)
	}
	f.records.set(bucket, id(m), recordOf(w.KEK, w.Blob))
	f.key.retire("v1")
}

func TestARetiredVersionIsReadWithTheRecord(t *testing.T) {
	f := newFixture(t, nil)
	m := f.object("photos", "a")
	f.rewrap("photos", m)
	reader := f.another(nil)
	for range 3 {
		if _, err := reader.OpenKey(t.Context(), name("photos", "a"), m); err != nil {
			t.Fatalf("OpenKey: %v", err)
		}
	}
	if f.records.getCount() != 1 {
		t.Errorf("the record was read %d times, want 1: its key belongs in the cache", f.records.getCount())
	}
}

func TestAStoreMovedToAnotherKMSIsReadWithTheRecord(t *testing.T) {
	f := newFixture(t, nil)
	m := f.object("photos", "a")
	raw, err := f.key.Unwrap(t.Context(), kms.Wrapped{KEK: m.KEK, Blob: m.Window}, kms.Context{"bucket": "photos"})
	if err != nil {
		t.Fatal(err)
	}
	moved := newFakeKey("vault://transit/key")
	w, err := moved.Wrap(t.Context(), raw, kms.Context{"bucket": "photos", "id": id(m)})
	if err != nil {
		t.Fatal(err)
	}
	reader := f.another(func(c *kms.Config) { c.Write = moved })
	if _, err := reader.OpenKey(t.Context(), name("photos", "a"), m); !errors.Is(err, kms.ErrNotFound) {
		t.Errorf("before the record was wrapped again: %v, want %v", err, kms.ErrNotFound)
	}
	f.records.set("photos", id(m), recordOf(w.KEK, w.Blob))
	if _, err := reader.OpenKey(t.Context(), name("photos", "a"), m); err != nil {
		t.Errorf("OpenKey: %v", err)
	}
	// As long as the old KMS exists, the record is not needed.
	reader = f.another(func(c *kms.Config) { c.Write, c.Read, c.Records, c.Window = moved, []kms.Key{f.key}, nil, 0 })
	if _, err := reader.OpenKey(t.Context(), name("photos", "a"), m); err != nil {
		t.Errorf("OpenKey with both: %v", err)
	}
}

func TestAnUnavailableKMSIsNotMaskedByTheRecord(t *testing.T) {
	f := newFixture(t, nil)
	m := f.object("photos", "a")
	reader := f.another(nil)
	f.key.setFail(kms.ErrUnavailable)
	if _, err := reader.OpenKey(t.Context(), name("photos", "a"), m); !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("OpenKey: %v, want %v", err, kms.ErrUnavailable)
	}
	// One key refuses and one does not answer, so the result is unknown.
	refusing := newFakeKey("fake://another/key")
	for _, keys := range [][]kms.Key{{refusing, f.key}, {f.key, refusing}} {
		reader := f.another(func(c *kms.Config) { c.Write, c.Read = keys[0], keys[1:] })
		if _, err := reader.OpenKey(t.Context(), name("photos", "a"), m); !errors.Is(err, kms.ErrUnavailable) || errors.Is(err, kms.ErrInvalid) {
			t.Errorf("OpenKey: %v, want only %v", err, kms.ErrUnavailable)
		}
	}
	if f.records.getCount() != 0 {
		t.Error("the record was read")
	}
}

func TestWithoutRecordsARefusalIsTheAnswer(t *testing.T) {
	f := newFixture(t, nil)
	m := f.object("photos", "a")
	reader := f.another(func(c *kms.Config) { c.Window, c.Records = 0, nil })
	f.key.rotate("v2")
	f.key.retire("v1")
	if _, err := reader.OpenKey(t.Context(), name("photos", "a"), m); !errors.Is(err, kms.ErrNotFound) {
		t.Errorf("OpenKey: %v, want %v", err, kms.ErrNotFound)
	}
}

func TestReadersWhoComeOneByOneMakeOneUnwrap(t *testing.T) {
	f := newFixture(t, nil)
	m := f.object("photos", "a")
	for range 200 {
		reader, before := f.another(nil), f.key.unwrapped()
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() {
				if _, err := reader.OpenKey(t.Context(), name("photos", "a"), m); err != nil {
					t.Errorf("OpenKey: %v", err)
				}
			})
		}
		all.Wait()
		if got := f.key.unwrapped() - before; got != 1 {
			t.Fatalf("%d unwraps, want 1", got)
		}
	}
}

func TestARefusalWithoutARecordKeepsItsClass(t *testing.T) {
	f := newFixture(t, nil)
	m := f.object("photos", "a")
	f.records.set("photos", id(m), nil)
	reader := f.another(nil)
	f.key.setFail(kms.ErrDenied)
	if _, err := reader.OpenKey(t.Context(), name("photos", "a"), m); !errors.Is(err, kms.ErrDenied) || !strings.Contains(err.Error(), id(m)) {
		t.Errorf("OpenKey: %v, want %v and the record's id", err, kms.ErrDenied)
	}
}

func TestAnErrorOfTheStoreInPlaceOfTheRecordComesBackAsItIs(t *testing.T) {
	f := newFixture(t, nil)
	m := f.object("photos", "a")
	reader := f.another(nil)
	f.key.rotate("v2")
	f.key.retire("v1")
	store := &storeError{Code: "SlowDown"}
	f.records.setFail(store)
	_, err := reader.OpenKey(t.Context(), name("photos", "a"), m)
	if got := new(storeError); !errors.As(err, &got) || got != store || errors.Is(err, kms.ErrNotFound) {
		t.Errorf("OpenKey: %v, want only the store's error", err)
	}
}

func TestARecordOpensUnderItsOwnIDAndBucketOnly(t *testing.T) {
	f := newFixture(t, func(c *kms.Config) { c.WindowObjects = 1 })
	a, b := f.object("photos", "a"), f.object("photos", "b")
	record := f.records.records["photos/"+id(a)]
	if err := f.OpenRecord(t.Context(), "photos", id(a), record); err != nil {
		t.Errorf("OpenRecord: %v", err)
	}
	if err := f.OpenRecord(t.Context(), "photos", id(b), record); !errors.Is(err, kms.ErrInvalid) {
		t.Errorf("another id: %v, want %v", err, kms.ErrInvalid)
	}
	if err := f.OpenRecord(t.Context(), "copies", id(a), record); !errors.Is(err, kms.ErrInvalid) {
		t.Errorf("another bucket: %v, want %v", err, kms.ErrInvalid)
	}
	f.key.setFail(kms.ErrUnavailable)
	if err := f.OpenRecord(t.Context(), "photos", id(a), record); !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("a KMS that is away: %v, want %v", err, kms.ErrUnavailable)
	}
}

func TestARecordHasOneEncoding(t *testing.T) {
	f := newFixture(t, nil)
	m := f.object("photos", "a")
	good := string(f.records.records["photos/"+id(m)])
	for what, bad := range map[string]string{
		"empty":           "",
		"not JSON":        "x",
		"null":            "null",
		"cut":             good[:len(good)-1],
		"extra bytes":     good + "\n",
		"white space":     strings.Replace(good, ":", ": ", 1),
		"unknown field":   strings.Replace(good, "{", `{"more":1,`, 1),
		"repeated field":  strings.Replace(good, "{", `{"format":1,`, 1),
		"other case":      strings.Replace(good, "kek", "KEK", 1),
		"no format":       strings.Replace(good, `"format":1,`, "", 1),
		"format as text":  strings.Replace(good, `"format":1`, `"format":"1"`, 1),
		"no KEK":          `{"format":1,"wrapped":"AAAA"}`,
		"empty KEK":       `{"format":1,"kek":"","wrapped":"AAAA"}`,
		"invisible KEK":   `{"format":1,"kek":"fake: x#1","wrapped":"AAAA"}`,
		"nothing wrapped": `{"format":1,"kek":"fake://a/key#v1","wrapped":""}`,
		"padding bits":    `{"format":1,"kek":"fake://a/key#v1","wrapped":"AB=="}`,
	} {
		before := f.key.unwrapped()
		if err := f.OpenRecord(t.Context(), "photos", id(m), []byte(bad)); !errors.Is(err, kms.ErrInvalid) {
			t.Errorf("%s: %v, want %v", what, err, kms.ErrInvalid)
		}
		if f.key.unwrapped() != before {
			t.Errorf("%s: the KMS was asked", what)
		}
	}
	other := strings.Replace(good, `"format":1`, `"format":2`, 1)
	if err := f.OpenRecord(t.Context(), "photos", id(m), []byte(other)); err == nil || !strings.Contains(err.Error(), "unknown record format 2") {
		t.Errorf("format 2: %v", err)
	}
	if err := f.OpenRecord(t.Context(), "photos", id(m), []byte(`{"format":2,"keys":[]}`)); err == nil || !strings.Contains(err.Error(), "unknown record format 2") {
		t.Errorf("format 2 with other fields: %v", err)
	}
}

func TestTheKeyOfExactlyTheNamedURIIsAskedFirst(t *testing.T) {
	f := newFixture(t, nil)
	m := f.object("photos", "a")
	others := []*fakeKey{newFakeKey("fake://another/key"), newFakeKey("vault://a/key")}
	reader := f.another(func(c *kms.Config) { c.Write, c.Read = others[0], []kms.Key{others[1], f.key} })
	if _, err := reader.OpenKey(t.Context(), name("photos", "a"), m); err != nil {
		t.Fatal(err)
	}
	if others[0].unwrapped() != 0 || others[1].unwrapped() != 0 {
		t.Error("other keys were asked first")
	}
	// Without the record, only keys of the same scheme are asked.
	f.records.set("photos", id(m), nil)
	reader = f.another(func(c *kms.Config) { c.Write, c.Read = others[0], []kms.Key{others[1]} })
	if _, err := reader.OpenKey(t.Context(), name("photos", "a"), m); !errors.Is(err, kms.ErrInvalid) {
		t.Errorf("OpenKey: %v, want %v", err, kms.ErrInvalid)
	}
	if others[0].unwrapped() != 1 || others[1].unwrapped() != 0 {
		t.Errorf("asked %d and %d times, want 1 and 0", others[0].unwrapped(), others[1].unwrapped())
	}
}

func TestAKeyOfWrongLengthFromTheKMSIsRefused(t *testing.T) {
	f := newFixture(t, func(c *kms.Config) { c.Window = 0 })
	m := f.object("photos", "a")
	w, err := f.key.Wrap(t.Context(), make([]byte, 31), f.key.wraps[0])
	if err != nil {
		t.Fatal(err)
	}
	m.DEK = w.Blob
	if _, err := f.OpenKey(t.Context(), name("photos", "a"), m); !errors.Is(err, kms.ErrInvalid) {
		t.Errorf("OpenKey: %v, want %v", err, kms.ErrInvalid)
	}
}

type storeError struct{ Code string }

func (e *storeError) Error() string { return e.Code }

func id(m *envelope.Metadata) string { return hex.EncodeToString(m.WindowID()) }
