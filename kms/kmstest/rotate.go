package kmstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/s3proxy/s3proxy/kms"
)

// rotated requires of a kms.Rotator that a new version wraps, and that the older ones still open.
func (h Harness) rotated(t *testing.T) {
	ctx, key := testContext(t), h.Key(t)
	rotator, ok := key.(kms.Rotator)
	if !ok {
		t.Skip("the key is no kms.Rotator")
	}
	type made struct {
		w         kms.Wrapped
		plaintext []byte
	}
	var all []made
	wrap := func() kms.Wrapped {
		plaintext := newPlaintext(32)
		w := mustWrap(ctx, t, key, plaintext, testPairs())
		all = append(all, made{w, plaintext})
		return w
	}
	seen := map[string]bool{wrap().KEK: true}
	for range 3 {
		kek, err := rotator.Rotate(ctx)
		if err != nil {
			t.Fatalf("Rotate: %v", err)
		}
		if version, ok := strings.CutPrefix(kek, key.URI()+"#"); !ok || version == "" || seen[kek] {
			t.Errorf("Rotate answers %q, which is not a new version of %q", kek, key.URI())
		}
		seen[kek] = true
		if current, err := key.Current(ctx); err != nil || current != kek {
			t.Errorf("Current answers %q (%v) after the rotation to %q", current, err, kek)
		}
		if w := wrap(); w.KEK != kek {
			t.Errorf("Wrap names %q after the rotation to %q", w.KEK, kek)
		}
		for _, m := range all {
			if got, err := key.Unwrap(ctx, m.w, testPairs()); err != nil || !bytes.Equal(got, m.plaintext) {
				t.Errorf("after the rotation to %[2]s, a blob of %[1]s opens to different bytes, or %[3]v", m.w.KEK, kek, err)
			}
		}
	}
	// A blob with the name of another version of the same key.
	got, err := key.Unwrap(ctx, kms.Wrapped{KEK: all[1].w.KEK, Blob: all[0].w.Blob}, testPairs())
	refused(t, "an old version's blob under a new version's name", got, err, kms.ErrInvalid, all[0].plaintext)

	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := rotator.Rotate(cancelled); !errors.Is(err, context.Canceled) || len(classesOf(err)) != 0 {
		t.Errorf("Rotate with a context that ended: %v", err)
	}
}

// rotatedInUse requires that a rotation disturbs nobody who wraps and unwraps.
func (h Harness) rotatedInUse(t *testing.T) {
	ctx, key := testContext(t), h.Key(t)
	rotator, ok := key.(kms.Rotator)
	if !ok {
		t.Skip("the key is no kms.Rotator")
	}
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			c := kms.Context{"bucket": fmt.Sprintf("bucket-%d", i)}
			for range 10 {
				plaintext := newPlaintext(32)
				w, err := key.Wrap(ctx, plaintext, c)
				if err != nil {
					t.Errorf("Wrap beside a rotation: %v", err)
					return
				}
				if got, err := key.Unwrap(ctx, w, c); err != nil || !bytes.Equal(got, plaintext) {
					t.Errorf("Unwrap during a rotation returned different bytes, or %v", err)
				}
			}
		})
	}
	all.Go(func() {
		for range 2 {
			if _, err := rotator.Rotate(ctx); err != nil {
				t.Errorf("Rotate beside others: %v", err)
			}
		}
	})
	all.Wait()
}

// rewrapped requires of a kms.Rewrapper that a new blob opens in the same context and in no other,
// and that only the right context yields one.
func (h Harness) rewrapped(t *testing.T) {
	ctx, key := testContext(t), h.Key(t)
	rewrapper, ok := key.(kms.Rewrapper)
	if !ok {
		t.Skip("the key is no kms.Rewrapper")
	}
	sources := map[string]kms.Key{"its own": key}
	if h.RewrapFrom != nil {
		sources["another key's"] = h.RewrapFrom(t)
	}
	for what, source := range sources {
		plaintext := newPlaintext(32)
		old := mustWrap(ctx, t, source, plaintext, testPairs())
		if rotator, ok := key.(kms.Rotator); ok && what == "its own" {
			if _, err := rotator.Rotate(ctx); err != nil {
				t.Fatalf("Rotate: %v", err)
			}
		}
		current, err := key.Current(ctx)
		if err != nil {
			t.Fatalf("Current: %v", err)
		}
		fresh, err := rewrapper.Rewrap(ctx, source, old, testPairs(), testPairs())
		if err != nil {
			t.Fatalf("Rewrap of %s: %v", what, err)
		}
		if fresh.KEK != current || bytes.Equal(fresh.Blob, old.Blob) || len(fresh.Blob) > maxBlob || bytes.Contains(fresh.Blob, plaintext) {
			t.Errorf("Rewrap of %s returned %d bytes by %q; want at most %d new ones by %q", what, len(fresh.Blob), fresh.KEK, maxBlob, current)
		}
		if got, err := key.Unwrap(ctx, fresh, testPairs()); err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("%s, rewrapped, opens to different bytes, or %v", what, err)
		}
		for name := range testPairs() {
			other := with(testPairs(), name, "x")
			got, err := key.Unwrap(ctx, fresh, other)
			refused(t, what+", re-wrapped, in a context with another "+name, got, err, kms.ErrInvalid, plaintext)
			made, err := rewrapper.Rewrap(ctx, source, old, other, testPairs())
			refused(t, "Rewrap of "+what+" in a context with another "+name, made.Blob, err, kms.ErrInvalid, plaintext)
		}
		moved := with(testPairs(), "bucket", "copies")
		if fresh, err = rewrapper.Rewrap(ctx, source, old, testPairs(), moved); err != nil {
			t.Fatalf("Rewrap of %s to another context: %v", what, err)
		}
		if got, err := key.Unwrap(ctx, fresh, moved); err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("%s, rewrapped to another context, opens to different bytes, or %v", what, err)
		}
		got, err := key.Unwrap(ctx, fresh, testPairs())
		refused(t, what+", re-wrapped to another context, in the first", got, err, kms.ErrInvalid, plaintext)
		changed := bytes.Clone(old.Blob)
		changed[len(changed)-1] ^= 1
		made, err := rewrapper.Rewrap(ctx, source, kms.Wrapped{KEK: old.KEK, Blob: changed}, testPairs(), testPairs())
		refused(t, "Rewrap of "+what+", changed", made.Blob, err, kms.ErrInvalid, plaintext)

		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := rewrapper.Rewrap(cancelled, source, old, testPairs(), testPairs()); !errors.Is(err, context.Canceled) || len(classesOf(err)) != 0 {
			t.Errorf("Rewrap with a context that ended: %v", err)
		}
	}
}
