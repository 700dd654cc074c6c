package kms_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
)

func TestAKeyOpensUnderItsNameOnly(t *testing.T) {
	for _, mode := range []struct {
		name   string
		change func(*kms.Config)
	}{
		{"window", nil},
		{"window 0", func(c *kms.Config) { c.Window = 0 }},
		{"window of 0 objects", func(c *kms.Config) { c.WindowObjects = 0 }},
	} {
		t.Run(mode.name, func(t *testing.T) {
			f := newFixture(t, mode.change)
			for _, upload := range []string{"", "upload-1"} {
				own := kms.Name{Bucket: "photos", Key: "a/b.jpg", Kind: envelope.KindMultipart, UploadID: upload}
				dek, m, err := f.NewKey(t.Context(), own)
				if err != nil {
					t.Fatal(err)
				}
				got, err := f.OpenKey(t.Context(), own, m)
				if err != nil {
					t.Fatal(err)
				}
				if got.Commitment() != dek.Commitment() {
					t.Error("OpenKey returned another key")
				}
				for what, other := range map[string]kms.Name{
					"bucket":    {Bucket: "photo", Key: own.Key, Kind: own.Kind, UploadID: upload},
					"key":       {Bucket: own.Bucket, Key: "a/b.jp", Kind: own.Kind, UploadID: upload},
					"upload id": {Bucket: own.Bucket, Key: own.Key, Kind: own.Kind, UploadID: upload + "2"},
					"boundary":  {Bucket: "photosa", Key: "/b.jpg", Kind: own.Kind, UploadID: upload},
				} {
					if _, err := f.OpenKey(t.Context(), other, m); !errors.Is(err, envelope.ErrKey) && !errors.Is(err, kms.ErrInvalid) {
						t.Errorf("another %s: %v, want a refusal", what, err)
					}
				}
				for _, kind := range []envelope.Kind{envelope.KindSingle, envelope.KindEmpty} {
					other := own
					other.Kind = kind
					if _, err := f.OpenKey(t.Context(), other, m); !errors.Is(err, envelope.ErrKey) {
						t.Errorf("kind %s for %s: %v, want %v", kind, m.Kind, err, envelope.ErrKey)
					}
					relabelled := *m
					relabelled.Kind = kind
					if _, err := f.OpenKey(t.Context(), other, &relabelled); !errors.Is(err, envelope.ErrKey) && !errors.Is(err, kms.ErrInvalid) {
						t.Errorf("relabelled as %s: %v, want a refusal", kind, err)
					}
				}
			}
		})
	}
}

func TestEveryByteOfTheMetadataIsBound(t *testing.T) {
	for _, mode := range []struct {
		name   string
		change func(*kms.Config)
	}{{"window", nil}, {"window 0", func(c *kms.Config) { c.Window = 0 }}} {
		t.Run(mode.name, func(t *testing.T) {
			f := newFixture(t, mode.change)
			f.key.rotate("v0") // so that a version that differs in one bit exists
			f.key.rotate("v1")
			m := f.object("photos", "a")
			fields, err := withFacts(m).Encode()
			if err != nil {
				t.Fatal(err)
			}
			reader := f.another(func(c *kms.Config) { c.CacheSize = 0 })
			flips := 0
			for field, value := range fields {
				if field == "s3proxy-facts" {
					continue // sealed by the key, not by the keyring
				}
				for i := range value {
					for _, bit := range []byte{1, 2, 16} {
						changed := maps.Clone(fields)
						b := []byte(value)
						b[i] ^= bit
						changed[field] = string(b)
						parsed, err := envelope.ParseMetadata(changed)
						if err != nil {
							continue
						}
						flips++
						n := name("photos", "a")
						n.Kind = parsed.Kind
						if _, err := reader.OpenKey(t.Context(), n, parsed); err == nil {
							t.Errorf("%s opened with byte %d changed from %q to %q", field, i, value[i], b[i])
						}
					}
				}
			}
			if flips < 100 {
				t.Errorf("only %d of the changed metadata could be parsed", flips)
			}
		})
	}
}

func TestADataKeyIsBoundToWhatTheFormatSays(t *testing.T) {
	n := kms.Name{Bucket: "photos", Key: "a/ü.jpg", Kind: envelope.KindMultipart, UploadID: "upload-1"}

	f := newFixture(t, nil)
	dek, m, err := f.NewKey(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := f.key.Unwrap(t.Context(), kms.Wrapped{KEK: m.KEK, Blob: m.Window}, kms.Context{"bucket": "photos"})
	if err != nil {
		t.Fatal(err)
	}
	windowKey, err := subtle.NewAESGCM(raw)
	if err != nil {
		t.Fatal(err)
	}
	got, err := envelope.UnwrapDEK(windowKey, m.DEK, kms.Context{
		"bucket": "photos", "key": "a/ü.jpg", "format": "1", "kind": "multipart",
		"kek": "fake://a/key#v1", "window": id(m), "upload": "upload-1",
	}.Canonical())
	if err != nil || got.Commitment() != dek.Commitment() {
		t.Errorf("under a window key: another key, or %v", err)
	}

	f = newFixture(t, func(c *kms.Config) { c.Window = 0 })
	if _, _, err := f.NewKey(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	sha := func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
	want := kms.Context{
		"bucket": "photos", "key-sha256": sha("a/ü.jpg"), "format": "1", "kind": "multipart", "upload-sha256": sha("upload-1"),
	}
	if !maps.Equal(f.key.wraps[0], want) {
		t.Errorf("in window 0: context %v, want %v", f.key.wraps[0], want)
	}
}

func TestWindowAndKEKOfAnotherObjectAreRefused(t *testing.T) {
	f := newFixture(t, func(c *kms.Config) { c.WindowObjects = 1 })
	a, b := f.object("photos", "a"), f.object("photos", "b")
	mixed := *a
	mixed.Window = b.Window
	if _, err := f.OpenKey(t.Context(), name("photos", "a"), &mixed); !errors.Is(err, envelope.ErrKey) {
		t.Errorf("another window: %v, want %v", err, envelope.ErrKey)
	}
	// The record opens whatever name the KEK has, so the name has to be bound separately.
	mixed = *a
	mixed.KEK = "fake://a/key#v9"
	if _, err := f.OpenKey(t.Context(), name("photos", "a"), &mixed); !errors.Is(err, envelope.ErrKey) {
		t.Errorf("another KEK's name: %v, want %v", err, envelope.ErrKey)
	}
	if f.records.getCount() == 0 {
		t.Error("the record was not asked, so the test shows nothing")
	}
}

func TestAWrongCommitmentIsRefused(t *testing.T) {
	f := newFixture(t, nil)
	m := f.object("photos", "a")
	m.Commitment[31] ^= 1
	if _, err := f.OpenKey(t.Context(), name("photos", "a"), m); !errors.Is(err, envelope.ErrCommitment) {
		t.Errorf("OpenKey: %v, want %v", err, envelope.ErrCommitment)
	}
}

func TestWrapKeyGivesOneKeyAnotherName(t *testing.T) {
	f := newFixture(t, nil)
	dek, _, err := f.NewKey(t.Context(), name("photos", "a"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := f.WrapKey(t.Context(), name("copies", "b"), dek)
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.OpenKey(t.Context(), name("copies", "b"), m)
	if err != nil || got.Commitment() != dek.Commitment() {
		t.Errorf("OpenKey under the other name: another key, or %v", err)
	}
}

func TestInWindowZeroTheKEKWrapsEveryKeyAndSeesNoObjectName(t *testing.T) {
	f := newFixture(t, func(c *kms.Config) { c.Window, c.Records = 0, nil })
	for i := range 5 {
		n := name("photos", fmt.Sprintf("secret-%d", i))
		n.UploadID = "secret-upload"
		_, m, err := f.NewKey(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		if m.Window != nil || m.KEK != "fake://a/key#v1" {
			t.Errorf("metadata %+v, want no window", m)
		}
	}
	if len(f.key.wraps) != 5 {
		t.Errorf("%d wraps, want 5", len(f.key.wraps))
	}
	for _, c := range f.key.wraps {
		if strings.Contains(fmt.Sprint(c), "secret") {
			t.Errorf("the KMS sees %v", c)
		}
		for _, pair := range []string{"bucket", "key-sha256", "format", "kind", "upload-sha256"} {
			if c[pair] == "" {
				t.Errorf("context %v has no %s", c, pair)
			}
		}
	}
}

func TestAKMSThatNeverAnswersIsUnavailableAfterAWhile(t *testing.T) {
	for what, window := range map[string]time.Duration{"window": time.Hour, "window 0": 0} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, func(c *kms.Config) { c.Window, c.CacheSize = window, 0 })
				m := f.object("photos", "a")
				defer f.key.hold()()
				if _, err := f.OpenKey(t.Context(), name("photos", "a"), m); !errors.Is(err, kms.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("OpenKey: %v, want only %v", err, kms.ErrUnavailable)
				}
				if _, _, err := f.NewKey(t.Context(), name("another", "a")); !errors.Is(err, kms.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("NewKey: %v, want only %v", err, kms.ErrUnavailable)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if _, err := f.OpenKey(ctx, name("photos", "a"), m); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, kms.ErrUnavailable) {
					t.Errorf("OpenKey with the caller's deadline: %v, want only the context's error", err)
				}
			})
		})
	}
}

func TestCheckAsksTheKeyForWriting(t *testing.T) {
	f := newFixture(t, nil)
	if err := f.Check(t.Context()); err != nil {
		t.Error(err)
	}
	f.key.setFail(kms.ErrDenied)
	if err := f.Check(t.Context()); !errors.Is(err, kms.ErrDenied) {
		t.Errorf("Check: %v, want %v", err, kms.ErrDenied)
	}
}

func TestAConfigThatCannotWorkIsRefused(t *testing.T) {
	key := newFakeKey("fake://a/key")
	for what, c := range map[string]kms.Config{
		"no key":           {},
		"no records":       {Write: key, Window: 1, WindowObjects: 1},
		"negative window":  {Write: key, Window: -1},
		"negative objects": {Write: key, WindowObjects: -1},
		"negative size":    {Write: key, CacheSize: -1},
		"negative TTL":     {Write: key, CacheTTL: -1},
	} {
		if _, err := kms.NewKeyring(c); err == nil {
			t.Errorf("%s: NewKeyring accepted it", what)
		}
	}
}

func TestWhatDoesNotFitIntoTheMetadataIsRefused(t *testing.T) {
	for what, broken := range map[string]func(*fakeKey){
		"KEK":   func(k *fakeKey) { k.uri = "fake://" + strings.Repeat("k", 200) },
		"blank": func(k *fakeKey) { k.uri = "fake://a key" },
		"blob":  func(k *fakeKey) { k.padding = 300 - 3 - 60 + 1 },
	} {
		for _, window := range []time.Duration{time.Hour, 0} {
			f := newFixture(t, func(c *kms.Config) { c.Window = window })
			broken(f.key)
			if _, _, err := f.NewKey(t.Context(), name("photos", "a")); err == nil {
				t.Errorf("%s too long, window %v: NewKey accepted it", what, window)
			}
			if f.records.putCount() != 0 {
				t.Errorf("%s too long: a record was put", what)
			}
		}
	}
	f := newFixture(t, nil)
	f.key.uri, f.key.padding = "fake://"+strings.Repeat("k", 190), 300-3-60
	if _, _, err := f.NewKey(t.Context(), name("photos", "a")); err != nil {
		t.Errorf("at the limit: %v", err)
	}
}

func TestTheErrorsOfKeysCarryNoKey(t *testing.T) {
	f := newFixture(t, func(c *kms.Config) { c.CacheSize = 0 })
	dek, m, err := f.NewKey(t.Context(), name("photos", "a"))
	if err != nil {
		t.Fatal(err)
	}
	m.Commitment[0] ^= 1
	_, err = f.OpenKey(t.Context(), name("photos", "a"), m)
	if err == nil {
		t.Fatal("it opened")
	}
	_ = dek.WithBytes(func(raw []byte) error {
		if strings.Contains(err.Error(), hex.EncodeToString(raw)) || bytes.Contains([]byte(err.Error()), raw) {
			t.Error("the error shows the key")
		}
		return nil
	})
}

func withFacts(m *envelope.Metadata) *envelope.Metadata {
	out := *m
	out.Facts = make([]byte, 40)
	return &out
}
