package localfile_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/localfile"
)

// A running proxy has one Key for its whole life.

func mustCurrent(t *testing.T, key kms.Key) string {
	t.Helper()
	kek, err := key.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return kek
}

func TestARotationIsSeenWithinASecondOfUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := mustCreate(t)
		key := mustOpen(t, path)
		old := mustWrap(t, key)
		version, err := localfile.Rotate(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if got := mustCurrent(t, key); got != old.KEK {
			t.Errorf("the file is looked at on every call: %s", got)
		}
		time.Sleep(time.Second)
		if got := mustCurrent(t, key); got != "localfile:#"+version {
			t.Errorf("Current %s, want version %s", got, version)
		}
		if w := mustWrap(t, key); w.KEK != "localfile:#"+version {
			t.Errorf("%s wraps, not %s", w.KEK, version)
		}
		if _, err := key.Unwrap(t.Context(), old, photos); err != nil {
			t.Errorf("what the old version wrapped: %v", err)
		}
	})
}

func TestItsOwnRotationIsSeenAtOnce(t *testing.T) {
	key := mustOpen(t, mustCreate(t))
	mustWrap(t, key)
	kek, err := key.Rotate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if w := mustWrap(t, key); w.KEK != kek || mustCurrent(t, key) != kek {
		t.Errorf("%s wraps, %s is current, not %s", w.KEK, mustCurrent(t, key), kek)
	}
}

func TestAVersionThatAnotherReplicaMadeAMomentAgoOpensAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // no time passes in here
		path := mustCreate(t)
		key, other := mustOpen(t, path), mustOpen(t, path)
		mustWrap(t, key)
		if _, err := other.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, err := key.Unwrap(t.Context(), mustWrap(t, other), photos); err != nil || string(got) != "a key" {
			t.Errorf("Unwrap: %q, %v", got, err)
		}
	})
}

func TestAFileThatBreaksLeavesTheKeysInUseAndIsReported(t *testing.T) {
	for what, spoil := range map[string]struct {
		do   func(path string, whole []byte) error
		says string
	}{
		"cut in half": {func(path string, whole []byte) error { return os.WriteFile(path, whole[:len(whole)/2], 0o600) }, "restore it"},
		"mode 0644":   {func(path string, _ []byte) error { return os.Chmod(path, 0o644) }, "chmod 600"},
		"gone":        {func(path string, _ []byte) error { return os.Remove(path) }, "no such file"},
		"empty":       {func(path string, _ []byte) error { return os.Truncate(path, 0) }, "restore it"},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := mustCreate(t)
				var log bytes.Buffer
				key := mustOpen(t, path, localfile.WithLog(slog.New(slog.NewTextHandler(&log, nil))))
				old := mustWrap(t, key)
				whole, err := os.ReadFile(path)
				if err := errors.Join(err, spoil.do(path, whole)); err != nil {
					t.Fatal(err)
				}
				for range 20 {
					time.Sleep(time.Second)
					if _, err := key.Unwrap(t.Context(), old, photos); err != nil {
						t.Fatalf("Unwrap: %v", err)
					}
					if w := mustWrap(t, key); w.KEK != old.KEK {
						t.Fatalf("%s wraps", w.KEK)
					}
					_, err := key.Current(t.Context())
					for call, err := range map[string]error{"Current": err, "Check": key.Check(t.Context())} {
						if !errors.Is(err, kms.ErrUnavailable) || !strings.Contains(err.Error(), spoil.says) || !strings.Contains(err.Error(), path) {
							t.Fatalf("%s: %v, want unavailable, %q and the path", call, err, spoil.says)
						}
					}
				}
				if n := strings.Count(log.String(), "broken"); n != 1 {
					t.Errorf("logged %d times, want once:\n%s", n, log.String())
				}
				if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, whole, 0o600)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				if err := key.Check(t.Context()); err != nil {
					t.Errorf("Check of the restored file: %v", err)
				}
				if !strings.Contains(log.String(), "read again") {
					t.Errorf("the end is not logged:\n%s", log.String())
				}
			})
		})
	}
}

func TestABlobOfNoKnownVersionIsNotFoundAlsoWhileTheFileIsBroken(t *testing.T) {
	path := mustCreate(t)
	key := mustOpen(t, path)
	foreign := mustWrap(t, mustOpen(t, mustCreate(t)))
	for range 2 {
		if _, err := key.Unwrap(t.Context(), foreign, photos); !errors.Is(err, kms.ErrNotFound) {
			t.Errorf("Unwrap: %v, want %v", err, kms.ErrNotFound)
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

func TestManyUseAKeyThatRotates(t *testing.T) {
	path := mustCreate(t)
	key := mustOpen(t, path)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				w, err := key.Wrap(t.Context(), []byte("a key"), photos)
				if err != nil {
					t.Errorf("Wrap: %v", err)
					return
				}
				if got, err := key.Unwrap(t.Context(), w, photos); err != nil || string(got) != "a key" {
					t.Errorf("Unwrap: %q, %v", got, err)
				}
			}
		})
	}
	all.Go(func() {
		for range 10 {
			if _, err := key.Rotate(t.Context()); err != nil {
				t.Errorf("Rotate: %v", err)
			}
		}
	})
	all.Wait()
}

// keyValues are the serialized keys in a keyset in clear.
func keyValues(t *testing.T, path string) []string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var set struct {
		Key []struct{ KeyData struct{ Value string } }
	}
	if err := json.Unmarshal(content, &set); err != nil || len(set.Key) == 0 {
		t.Fatalf("%d keys, %v", len(set.Key), err)
	}
	var values []string
	for _, k := range set.Key {
		values = append(values, k.KeyData.Value)
	}
	return values
}
