package kms_test

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestHeldTellsWhichKeysAreInMemoryAndWhenTheFirstWindowEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		start := time.Now()
		if h := f.Held(); h.Any() || !h.NextEnd.IsZero() {
			t.Errorf("a new Keyring: %+v", h)
		}
		photos := f.object("photos", "a")
		time.Sleep(10 * time.Minute)
		f.object("films", "a")
		reader := f.another(nil)
		for range 3 {
			if _, err := reader.OpenKey(t.Context(), name("photos", "a"), photos); err != nil {
				t.Fatal(err)
			}
		}
		if h := reader.Held(); h.Cached != 1 || h.Hits != 2 || h.Misses != 1 || !h.NextEnd.IsZero() {
			t.Errorf("one that reads: %+v", h)
		}
		if _, err := f.OpenKey(t.Context(), name("photos", "a"), photos); err != nil {
			t.Fatal(err)
		}
		h := f.Held()
		if h.Windows[photos.KEK] != 2 || h.Hits != 1 || h.Misses != 0 || !h.NextEnd.Equal(start.Add(time.Hour)) {
			t.Errorf("one that writes: %+v", h)
		}
		time.Sleep(50 * time.Minute) // the first window has ended
		if h := f.Held(); h.Windows[photos.KEK] != 1 || !h.NextEnd.Equal(start.Add(70*time.Minute)) {
			t.Errorf("an hour later: %+v", h)
		}
	})
}
