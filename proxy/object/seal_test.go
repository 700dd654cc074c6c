package object

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/localfile"
)

// keyed returns the settings of a bucket in window 0: the KEK wraps each key.
func keyed(t *testing.T) Settings {
	t.Helper()
	file := filepath.Join(t.TempDir(), "keyset.json")
	if err := localfile.Create(file); err != nil {
		t.Fatal(err)
	}
	kek, err := localfile.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	keyring, err := kms.NewKeyring(kms.Config{Write: kek, CacheSize: 10, CacheTTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keyring.Close(context.Background()) })
	return Settings{Keyring: keyring}
}

// sealed returns what a store would hold of an object.
func sealed(t *testing.T, b Settings, key string, content []byte) (http.Header, []byte) {
	t.Helper()
	fields, r, err := SealRaw(t.Context(), b, "bucket", key, bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(r)
	if err != nil || r.Close() != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	for name, value := range fields {
		h.Set(MetaPrefix+name, value)
	}
	return h, raw
}

func opened(ctx context.Context, b Settings, key string, h http.Header, raw []byte) ([]byte, error) {
	o, err := OpenRaw(ctx, b, "bucket", key, h, bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return nil, err
	}
	defer o.Close()
	var out bytes.Buffer
	_, err = o.WriteTo(&out)
	return out.Bytes(), err
}

func TestWhatIsSealedIsOpenedUnderItsOwnNameAlone(t *testing.T) {
	b := keyed(t)
	for _, size := range []int{0, 1, envelope.SegmentSize - 1, envelope.SegmentSize, 3*envelope.SegmentSize + 5} {
		content := bytes.Repeat([]byte("s3proxy!"), size/8+1)[:size]
		h, raw := sealed(t, b, "k", content)
		if got, err := opened(t.Context(), b, "k", h, raw); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes: %d bytes, %v", size, len(got), err)
		}
		if got, err := opened(t.Context(), b, "other", h, raw); err == nil {
			t.Errorf("%d bytes under another name: %q, %v", size, got, err)
		}
	}
}

func TestNoByteOfWhatIsSealedCanBeChangedCutOrAdded(t *testing.T) {
	b := keyed(t)
	h, raw := sealed(t, b, "k", bytes.Repeat([]byte("s3proxy!"), 1000))
	for at := 0; at < len(raw); at += 97 {
		changed := bytes.Clone(raw)
		changed[at] ^= 1
		if _, err := opened(t.Context(), b, "k", h, changed); !Damaged(err) {
			t.Fatalf("byte %d of %d: %v", at, len(raw), err)
		}
	}
	for _, other := range [][]byte{raw[:len(raw)-1], raw[1:], append(bytes.Clone(raw), 0), nil} {
		if _, err := opened(t.Context(), b, "k", h, other); !Damaged(err) {
			t.Errorf("%d of %d bytes: %v", len(other), len(raw), err)
		}
	}
}

func TestASealIsOfExactlyTheBytesThatWereAnnounced(t *testing.T) {
	b := keyed(t)
	for _, c := range []struct {
		content string
		size    int64
	}{{"short", 6}, {"long", 3}, {"something", 0}} {
		_, r, err := SealRaw(t.Context(), b, "bucket", "k", strings.NewReader(c.content), c.size)
		if err == nil {
			_, err = io.ReadAll(r)
			r.Close()
		}
		if err == nil {
			t.Errorf("%q is sealed as %d bytes", c.content, c.size)
		}
	}
}

func TestPlaintextAndBrokenMetadataAreNotOpened(t *testing.T) {
	b := keyed(t)
	h, raw := sealed(t, b, "k", []byte("content"))
	if _, err := opened(t.Context(), b, "k", http.Header{}, raw); !errors.Is(err, envelope.ErrNotEncrypted) {
		t.Errorf("without metadata: %v", err)
	}
	for name := range h {
		without := h.Clone()
		without.Del(name)
		if got, err := opened(t.Context(), b, "k", without, raw); err == nil {
			t.Errorf("without %s: %q", name, got)
		}
	}
	h.Set("X-Amz-Missing-Meta", "1")
	if _, err := opened(t.Context(), b, "k", h, raw); !Damaged(err) {
		t.Errorf("of a store that left some out: %v", err)
	}
}
