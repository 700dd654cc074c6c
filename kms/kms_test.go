package kms_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/kms"
)

func TestAContextHasOneEncodingWhateverItsOrder(t *testing.T) {
	const want = "733370726f787920636f6e74657874207631" + // s3proxy context v1
		"00000002" +
		"00000006" + "6275636b6574" + "00000006" + "70686f746f73" + // bucket photos
		"00000002" + "6964" + "00000002" + "3031" // id 01
	for range 20 { // maps are iterated in a different order each time
		if got := hex.EncodeToString(kms.Context{"id": "01", "bucket": "photos"}.Canonical()); got != want {
			t.Fatalf("Canonical: %s\nwant       %s", got, want)
		}
	}
	if got := hex.EncodeToString(kms.Context(nil).Canonical()); got != "733370726f787920636f6e7465787420763100000000" {
		t.Errorf("without pairs: %s", got)
	}
}

func TestDifferentContextsHaveDifferentEncodings(t *testing.T) {
	seen := make(map[string]kms.Context)
	for _, c := range []kms.Context{
		nil, {"a": ""}, {"": "a"}, {"a": "b"}, {"ab": ""}, {"": "ab"}, {"a": "b", "c": "d"}, {"a": "bc", "d": ""}, {"a": "b\x00\x00\x00\x01c"},
	} {
		if other, ok := seen[string(c.Canonical())]; ok {
			t.Errorf("%v and %v are the same", c, other)
		}
		seen[string(c.Canonical())] = c
	}
}

func TestAPermanentRefusalIsDistinguishedFromATemporaryOne(t *testing.T) {
	for err, want := range map[error]bool{
		nil:                                   false,
		kms.ErrUnavailable:                    false,
		context.Canceled:                      false,
		context.DeadlineExceeded:              false,
		kms.ErrDenied:                         true,
		kms.ErrNotFound:                       true,
		kms.ErrInvalid:                        true,
		fmt.Errorf("x: %w", kms.ErrInvalid):   true,
		fmt.Errorf("x: %w", context.Canceled): false,
		errors.New("a driver forgot"):         true,
	} {
		if got := kms.Permanent(err); got != want {
			t.Errorf("Permanent(%v) is %v", err, got)
		}
	}
}

func TestTheRegistryOpensByScheme(t *testing.T) {
	r := kms.NewRegistry()
	var got *url.URL
	failure := errors.New("not today")
	r.Register("fake", func(_ context.Context, uri *url.URL) (kms.Key, error) {
		got = uri
		return newFakeKey("fake:"), nil
	})
	r.Register("broken", func(context.Context, *url.URL) (kms.Key, error) { return nil, failure })
	if key, err := r.Open(t.Context(), "fake:///a/b?c=d"); err != nil || key.URI() != "fake:" || got.Path != "/a/b" || got.RawQuery != "c=d" {
		t.Errorf("Open: %v, %v", got, err)
	}
	if _, err := r.Open(t.Context(), "broken:x"); !errors.Is(err, failure) {
		t.Errorf("Open: %v, want %v", err, failure)
	}
	for _, uri := range []string{"other://x", "/etc/keyset.json", ""} {
		if _, err := r.Open(t.Context(), uri); err == nil || !strings.Contains(err.Error(), "broken://, fake://") {
			t.Errorf("Open(%q): %v, want the known schemes", uri, err)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a scheme was registered twice")
		}
	}()
	r.Register("fake", nil)
}
