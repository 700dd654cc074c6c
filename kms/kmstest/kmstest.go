// Package kmstest is the conformance suite of KMS drivers: a driver that passes can be used by a
// kms.Keyring. A driver's test consists of a [Harness] and one call of [Run], against a real server
// if there is one.
package kmstest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/kms"
)

// Harness provides the keys that the suite needs. If a hook is nil, its test is skipped by name.
type Harness struct {
	// Key returns a working key, possibly the same one each time. Required.
	Key func(t *testing.T) kms.Key
	// OtherKey returns another key of the same KMS: neither key may open what the other has
	// wrapped.
	OtherKey func(t *testing.T) kms.Key
	// RemovedKey returns a key, and what a version of it has wrapped in c that is now gone or
	// disabled.
	RemovedKey func(t *testing.T, plaintext []byte, c kms.Context) (kms.Key, kms.Wrapped)
	// Unavailable returns a key whose KMS does not answer, or cannot at the moment. It must fail
	// within a few seconds.
	Unavailable func(t *testing.T) kms.Key
	// Denied returns a key that this program's identity may not use. If the driver refuses other
	// keys' blobs before asking the KMS, it must be the same key as Key's.
	Denied func(t *testing.T) kms.Key
	// RewrapFrom returns another key of the same KMS whose blobs Key's Rewrap accepts.
	RewrapFrom func(t *testing.T) kms.Key
}

const (
	maxKEK  = 200 // bytes, so that it fits into an object's metadata
	maxBlob = 256 // bytes, for a key of 32
	// maxFlips limits the calls for one tampered blob, because each may go to a server.
	maxFlips = 96
	// deadline limits one test; nothing in it takes a working KMS that long.
	deadline = time.Minute
)

// Run runs the suite for one driver.
func Run(t *testing.T, h Harness) {
	t.Run("A key opens what it wrapped", h.roundTrip)
	t.Run("A wrapped key is small and named by its maker", h.named)
	t.Run("A wrapped key is bound to its context", h.contextBound)
	t.Run("A changed blob is refused", h.tamperedBlob)
	t.Run("A changed name is refused", h.tamperedName)
	t.Run("Another key does not open it", h.otherKey)
	t.Run("A version that is gone is not found", h.removedKey)
	t.Run("A KMS that does not answer is unavailable", h.unavailable)
	t.Run("A KMS that refuses has denied", h.denied)
	t.Run("A context that ended ends the call", h.cancelled)
	t.Run("One key serves many at once", h.concurrent)
	t.Run("A working key is healthy", h.healthy)
	t.Run("The current version is the one that wraps", h.current)
	t.Run("A version is known by what people call it", h.versionNamed)
	// Last, because they leave new versions behind.
	t.Run("A rotated key wraps by its new version and opens what older ones wrapped", h.rotated)
	t.Run("A rotation disturbs nobody", h.rotatedInUse)
	t.Run("Re-wrapping keeps the context and refuses another", h.rewrapped)
}

func (h Harness) roundTrip(t *testing.T) {
	ctx, key := testContext(t), h.Key(t)
	for _, length := range []int{1, 16, 32, 64} {
		for _, c := range []kms.Context{
			nil,
			{"bucket": "photos"},
			{"bucket": "photos", "id": "00112233445566778899aabbccddeeff"},
			{"bucket": "photos", "key-sha256": strings.Repeat("ab", 32), "format": "1", "kind": "multipart", "upload-sha256": strings.Repeat("cd", 32)},
		} {
			plaintext := newPlaintext(length)
			w := mustWrap(ctx, t, key, plaintext, c)
			got, err := key.Unwrap(ctx, w, c)
			if err != nil {
				t.Fatalf("Unwrap of %d bytes, context %v: %v", length, c, err)
			}
			if !bytes.Equal(got, plaintext) {
				t.Fatalf("Unwrap of %d bytes, context %v returned different bytes", length, c)
			}
		}
	}
}

func (h Harness) named(t *testing.T) {
	ctx, key := testContext(t), h.Key(t)
	if !visible(key.URI()) || strings.Contains(key.URI(), "#") || !strings.Contains(key.URI(), ":") {
		t.Errorf("URI %q is not a scheme and a name in visible ASCII without #", key.URI())
	}
	plaintext := newPlaintext(32)
	w := mustWrap(ctx, t, key, plaintext, testPairs())
	version, ok := strings.CutPrefix(w.KEK, key.URI()+"#")
	if !ok || version == "" {
		t.Errorf("KEK %q is not %q, # and a version", w.KEK, key.URI())
	}
	if !visible(w.KEK) || len(w.KEK) > maxKEK {
		t.Errorf("KEK %q is not at most %d bytes of visible ASCII", w.KEK, maxKEK)
	}
	if len(w.Blob) > maxBlob {
		t.Errorf("the blob of a 32-byte key is %d bytes long; at most %d", len(w.Blob), maxBlob)
	}
	if bytes.Contains(w.Blob, plaintext) {
		t.Error("the blob contains the plaintext")
	}
	if again := mustWrap(ctx, t, key, plaintext, testPairs()); bytes.Equal(again.Blob, w.Blob) {
		t.Error("the same key wrapped twice gives the same blob")
	}
}

func (h Harness) contextBound(t *testing.T) {
	ctx, key := testContext(t), h.Key(t)
	plaintext, pairs := newPlaintext(32), testPairs()
	w := mustWrap(ctx, t, key, plaintext, pairs)
	others := map[string]kms.Context{
		"none":          nil,
		"a pair added":  with(pairs, "more", "x"),
		"names swapped": {"bucket": pairs["key-sha256"], "key-sha256": pairs["bucket"], "kind": pairs["kind"]},
	}
	for name, value := range pairs {
		others[name+" changed"] = with(pairs, name, value+"x")
		others[name+" renamed"] = with(without(pairs, name), name+"x", value)
		others[name+" removed"] = without(pairs, name)
		others[name+" in capitals"] = with(pairs, name, strings.ToUpper(value))
	}
	for what, c := range others {
		if got, err := key.Unwrap(ctx, w, c); err == nil {
			t.Errorf("context with %s: the key opened", what)
		} else {
			refused(t, "context with "+what, got, err, kms.ErrInvalid, plaintext)
		}
	}
	// Two contexts that differ only in where one text ends and the next begins.
	w = mustWrap(ctx, t, key, plaintext, kms.Context{"a": "bc", "d": "e"})
	if got, err := key.Unwrap(ctx, w, kms.Context{"ab": "c", "d": "e"}); err == nil {
		t.Error("contexts a=bc and ab=c are the same to the driver")
	} else {
		refused(t, "context with moved boundary", got, err, kms.ErrInvalid, plaintext)
	}
}

func (h Harness) tamperedBlob(t *testing.T) {
	ctx, key := testContext(t), h.Key(t)
	plaintext := newPlaintext(32)
	w := mustWrap(ctx, t, key, plaintext, testPairs())
	check := func(what string, blob []byte) {
		t.Helper()
		got, err := key.Unwrap(ctx, kms.Wrapped{KEK: w.KEK, Blob: blob}, testPairs())
		refused(t, what, got, err, kms.ErrInvalid, plaintext)
	}
	step := (len(w.Blob) + maxFlips - 1) / maxFlips
	for i := 0; i < len(w.Blob); i += step {
		blob := bytes.Clone(w.Blob)
		blob[i] ^= 1 << (i % 8)
		check(fmt.Sprintf("byte %d of %d changed", i, len(blob)), blob)
	}
	check("empty", nil)
	check("first byte only", w.Blob[:1])
	check("one byte shorter", w.Blob[:len(w.Blob)-1])
	check("first byte missing", w.Blob[1:])
	check("one byte longer", append(bytes.Clone(w.Blob), w.Blob[0]))
}

func (h Harness) tamperedName(t *testing.T) {
	ctx, key := testContext(t), h.Key(t)
	plaintext := newPlaintext(32)
	w := mustWrap(ctx, t, key, plaintext, testPairs())
	version := strings.TrimPrefix(w.KEK, key.URI()+"#")
	last := w.KEK[len(w.KEK)-1] ^ 1 // another digit or letter
	for i, kek := range []string{
		// For these, the KMS may answer that it has no such version.
		w.KEK[:len(w.KEK)-1] + string(last),
		w.KEK + "1",
		// These are not valid names.
		w.KEK + "#1",
		key.URI() + "#0" + version,
		key.URI() + "#+" + version,
		key.URI() + "#",
		key.URI(),
		version,
		"#" + version,
		"",
	} {
		got, err := key.Unwrap(ctx, kms.Wrapped{KEK: kek, Blob: w.Blob}, testPairs())
		class := kms.ErrInvalid
		if i < 2 && errors.Is(err, kms.ErrNotFound) {
			class = kms.ErrNotFound
		}
		refused(t, fmt.Sprintf("name %q for %q", kek, w.KEK), got, err, class, plaintext)
	}
}

func (h Harness) otherKey(t *testing.T) {
	if h.OtherKey == nil {
		t.Skip("the harness has no OtherKey")
	}
	ctx, key, other := testContext(t), h.Key(t), h.OtherKey(t)
	plaintext := newPlaintext(32)
	for _, pair := range [][2]kms.Key{{key, other}, {other, key}} {
		w := mustWrap(ctx, t, pair[0], plaintext, testPairs())
		// Under its own name the version may be unknown; under a name of the other key, the blob is
		// in the wrong place.
		got, err := pair[1].Unwrap(ctx, w, testPairs())
		if errors.Is(err, kms.ErrNotFound) {
			refused(t, "another key's blob", got, err, kms.ErrNotFound, plaintext)
		} else {
			refused(t, "another key's blob", got, err, kms.ErrInvalid, plaintext)
		}
		own := mustWrap(ctx, t, pair[1], plaintext, testPairs())
		got, err = pair[1].Unwrap(ctx, kms.Wrapped{KEK: own.KEK, Blob: w.Blob}, testPairs())
		refused(t, "another key's blob under this key's name", got, err, kms.ErrInvalid, plaintext)
	}
}

func (h Harness) removedKey(t *testing.T) {
	if h.RemovedKey == nil {
		t.Skip("the harness has no RemovedKey")
	}
	ctx, plaintext := testContext(t), newPlaintext(32)
	key, w := h.RemovedKey(t, plaintext, testPairs())
	got, err := key.Unwrap(ctx, w, testPairs())
	refused(t, "a version that is gone", got, err, kms.ErrNotFound, plaintext)
}

func (h Harness) unavailable(t *testing.T) {
	if h.Unavailable == nil {
		t.Skip("the harness has no Unavailable")
	}
	h.fails(t, h.Unavailable(t), kms.ErrUnavailable)
}

func (h Harness) denied(t *testing.T) {
	if h.Denied == nil {
		t.Skip("the harness has no Denied")
	}
	h.fails(t, h.Denied(t), kms.ErrDenied)
}

// fails requires every call to broken to fail with class.
func (h Harness) fails(t *testing.T, broken kms.Key, class error) {
	ctx, plaintext := testContext(t), newPlaintext(32)
	made, err := broken.Wrap(ctx, plaintext, testPairs())
	refused(t, "Wrap", made.Blob, err, class, plaintext)
	w := mustWrap(ctx, t, h.Key(t), plaintext, testPairs())
	// The same version under the broken key's identity.
	_, version, _ := strings.Cut(w.KEK, "#")
	w.KEK = broken.URI() + "#" + version
	got, err := broken.Unwrap(ctx, w, testPairs())
	refused(t, "Unwrap", got, err, class, plaintext)
	refused(t, "Check", nil, broken.Check(ctx), class, plaintext)
}

func (h Harness) cancelled(t *testing.T) {
	key, plaintext := h.Key(t), newPlaintext(32)
	w := mustWrap(testContext(t), t, key, plaintext, testPairs())
	cancelled, cancel := context.WithCancel(testContext(t))
	cancel()
	late, cancel := context.WithDeadline(testContext(t), time.Now().Add(-time.Second))
	defer cancel()
	for want, ctx := range map[error]context.Context{context.Canceled: cancelled, context.DeadlineExceeded: late} {
		_, wrapErr := key.Wrap(ctx, plaintext, testPairs())
		_, unwrapErr := key.Unwrap(ctx, w, testPairs())
		for what, err := range map[string]error{"Wrap": wrapErr, "Unwrap": unwrapErr, "Check": key.Check(ctx)} {
			if !errors.Is(err, want) {
				t.Errorf("%s with a context that ended: %v, want %v", what, err, want)
			}
			// The caller gave up, which says nothing about the KMS.
			if classes := classesOf(err); len(classes) != 0 {
				t.Errorf("%s with a context that ended is also %v", what, classes)
			}
			if kms.Permanent(err) {
				t.Errorf("%s with a context that ended is a refusal for good: %v", what, err)
			}
		}
	}
}

func (h Harness) concurrent(t *testing.T) {
	ctx, key := testContext(t), h.Key(t)
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			plaintext := newPlaintext(32)
			c := kms.Context{"bucket": fmt.Sprintf("bucket-%d", i)}
			w, err := key.Wrap(ctx, plaintext, c)
			if err != nil {
				t.Errorf("Wrap beside others: %v", err)
				return
			}
			got, err := key.Unwrap(ctx, w, c)
			if err != nil || !bytes.Equal(got, plaintext) {
				t.Errorf("a concurrent Unwrap returned different bytes, or %v", err)
			}
			if err := key.Check(ctx); err != nil {
				t.Errorf("Check beside others: %v", err)
			}
		})
	}
	all.Wait()
}

func (h Harness) current(t *testing.T) {
	ctx, key := testContext(t), h.Key(t)
	kek, err := key.Current(ctx)
	if err != nil {
		t.Fatalf("Current: %v", err)
	}
	if w := mustWrap(ctx, t, key, newPlaintext(32), kms.Context{"bucket": "photos"}); w.KEK != kek {
		t.Errorf("Current answers %q, Wrap names %q", kek, w.KEK)
	}
}

func (h Harness) versionNamed(t *testing.T) {
	ctx, key := testContext(t), h.Key(t)
	namer, can := key.(kms.Namer)
	if !can {
		t.Skip("no kms.Namer")
	}
	kek := mustWrap(ctx, t, key, newPlaintext(32), nil).KEK
	_, version, _ := strings.Cut(kek, "#")
	if got, err := namer.Named(ctx, version); got != kek || err != nil {
		t.Errorf("version %q: %q, %v, want %q", version, got, err, kek)
	}
	if got, err := namer.Named(ctx, ""); got != kek && got != key.URI() || err != nil {
		t.Errorf("as opened: %q, %v, want %q or %q", got, err, kek, key.URI())
	}
	for _, none := range []string{"0x1", "-1", "1 ", "no-such-version", "#1", kek} {
		if got, err := namer.Named(ctx, none); !errors.Is(err, kms.ErrInvalid) && !errors.Is(err, kms.ErrNotFound) {
			t.Errorf("%q: %q, %v, want a refusal", none, got, err)
		}
	}
}

func (h Harness) healthy(t *testing.T) {
	if err := h.Key(t).Check(testContext(t)); err != nil {
		t.Errorf("Check: %v", err)
	}
}

// refused requires an error of exactly one class, no result, and no plaintext in the error's text.
func refused(t *testing.T, what string, got []byte, err, class error, plaintext []byte) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error, want %v", what, class)
		return
	}
	if len(got) != 0 {
		t.Errorf("%s: an error and %d bytes", what, len(got))
	}
	if classes := classesOf(err); len(classes) != 1 || classes[0] != class {
		t.Errorf("%s: %v is in the classes %v, want only %v", what, err, classes, class)
	}
	if kms.Permanent(err) != (class != kms.ErrUnavailable) {
		t.Errorf("%s: Permanent(%v) is %v", what, err, kms.Permanent(err))
	}
	for form, secret := range map[string]string{
		"bytes":   string(plaintext),
		"hex":     hex.EncodeToString(plaintext),
		"base64":  base64.RawStdEncoding.EncodeToString(plaintext),
		"numbers": strings.Trim(fmt.Sprint(plaintext), "[]"),
	} {
		if strings.Contains(strings.ToLower(err.Error()), strings.ToLower(secret)) {
			t.Errorf("%s: the error's text has the plaintext in it, as %s", what, form)
		}
	}
}

func classesOf(err error) []error {
	return slices.DeleteFunc(
		[]error{kms.ErrUnavailable, kms.ErrDenied, kms.ErrNotFound, kms.ErrInvalid},
		func(class error) bool { return !errors.Is(err, class) })
}

func mustWrap(ctx context.Context, t *testing.T, key kms.Key, plaintext []byte, c kms.Context) kms.Wrapped {
	t.Helper()
	given := bytes.Clone(plaintext)
	w, err := key.Wrap(ctx, plaintext, c)
	if err != nil {
		t.Fatalf("Wrap of %d bytes, context %v: %v", len(plaintext), c, err)
	}
	if !bytes.Equal(given, plaintext) {
		t.Fatal("Wrap changed the plaintext it was given")
	}
	return w
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	return ctx
}

func testPairs() kms.Context {
	return kms.Context{"bucket": "photos", "key-sha256": strings.Repeat("0f", 32), "kind": "single"}
}

func with(c kms.Context, name, value string) kms.Context {
	out := without(c, name)
	out[name] = value
	return out
}

func without(c kms.Context, name string) kms.Context {
	out := make(kms.Context)
	for n, v := range c {
		if n != name {
			out[n] = v
		}
	}
	return out
}

func newPlaintext(length int) []byte {
	out := make([]byte, length)
	_, _ = rand.Read(out) // never fails
	return out
}

func visible(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < '!' || r > '~' })
}
