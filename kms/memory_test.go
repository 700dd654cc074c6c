package kms

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// What stays in memory cannot be observed from outside the package.

func TestAKeyLeavesTheCacheAfterItsTTLEvenIfNobodyAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(2, time.Minute, time.Now)
		names := make([]cacheName, 3)
		for i := range names {
			names[i] = newCacheName("photos", fmt.Sprint(i), nil)
			c.put(names[i], nil)
			time.Sleep(time.Second)
		}
		last := peek(c, names[2])
		if got := held(c); got != 2 {
			t.Errorf("%d keys, want 2", got)
		}
		c.put(names[2], nil)
		if last.timer.Stop() {
			t.Error("a key that was replaced still has its timer")
		}
		time.Sleep(58 * time.Second) // the second key's minute, not the third's
		synctest.Wait()
		if got := held(c); got != 1 {
			t.Errorf("%d keys, want 1", got)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := held(c); got != 0 {
			t.Errorf("%d keys, want 0", got)
		}
		c.put(names[0], nil)
		kept := peek(c, names[0])
		c.close()
		if kept.timer.Stop() || c.keys != nil {
			t.Error("close left a key or its timer behind")
		}
		c.put(names[0], nil)
		c.drop(names[0], kept)
		if _, ok := c.get(names[0]); ok {
			t.Error("a closed cache keeps keys")
		}
	})
}

func TestAWindowThatEndedLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Config{Write: stubKey{}, Records: stubRecords{}, Window: time.Minute, WindowObjects: 1, Now: time.Now}
		s := newWindows(c, newCache(0, 0, time.Now))
		w, err := s.take(t.Context(), "photos")
		if err != nil {
			t.Fatal(err)
		}
		s.mu.Lock()
		if len(s.making) != 0 || s.current.Len() != 1 {
			t.Errorf("%d on their way and %d current, want 0 and 1", len(s.making), s.current.Len())
		}
		s.mu.Unlock()
		next, err := s.take(t.Context(), "photos")
		if err != nil {
			t.Fatal(err)
		}
		if w.timer.Stop() {
			t.Error("a window that ended still has its timer")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.current.Len() != 0 || !next.ended {
			t.Error("a window that nobody uses stays after its age")
		}
	})
}

func TestAWindowThatWasMadeDuringCloseIsNotKept(t *testing.T) {
	records := new(closingRecords)
	c := Config{Write: stubKey{}, Records: records, Window: time.Hour, WindowObjects: 1, Now: time.Now}
	s := newWindows(c, newCache(0, 0, time.Now))
	records.s = s
	if _, err := s.take(t.Context(), "photos"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("take: %v, want %v", err, ErrUnavailable)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current.Len() != 0 {
		t.Error("a closed keyring keeps a window")
	}
}

// closingRecords closes the windows while one of them is made.
type closingRecords struct {
	stubRecords
	s *windows
}

func (r *closingRecords) PutRecord(context.Context, string, string, []byte) error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.s.closed = true
	return nil
}

func held(c *cache) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.keys.Len()
}

func peek(c *cache, name cacheName) *cached {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, _ := c.keys.Peek(name)
	return e
}

type stubKey struct{}

func (stubKey) URI() string                             { return "stub:" }
func (stubKey) Current(context.Context) (string, error) { return "stub:#1", nil }
func (stubKey) Check(context.Context) error             { return nil }
func (stubKey) Wrap(_ context.Context, _ []byte, c Context) (Wrapped, error) {
	return Wrapped{KEK: "stub:#1", Blob: []byte("blob")}, nil
}
func (stubKey) Unwrap(context.Context, Wrapped, Context) ([]byte, error) {
	return nil, ErrNotFound
}

type stubRecords struct{}

func (stubRecords) CheckBucket(context.Context, string) error               { return nil }
func (stubRecords) PutRecord(context.Context, string, string, []byte) error { return nil }
func (stubRecords) GetRecord(context.Context, string, string) ([]byte, error) {
	return nil, ErrNoRecord
}
