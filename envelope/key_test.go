package envelope

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// tinkFor is Tink's own AES-GCM over the same raw key.
func tinkFor(t *testing.T, d *DEK) (a tink.AEAD) {
	t.Helper()
	err := d.WithBytes(func(raw []byte) (err error) { a, err = subtle.NewAESGCM(raw); return err })
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestTinkOpensWhatIsSealedHereAndTheOtherWayRound(t *testing.T) {
	d := newTestDEK(t)
	other := tinkFor(t, d)
	part := Part{Number: 3, Size: SegmentSize + 5, ID: NewPartID()}
	want := plaintext(int(part.Size))
	stored := readAll(t, d.SealPart(KindMultipart, part, bytes.NewReader(want)))

	aad := newSegmentAAD(KindMultipart, part)
	first, err := other.Decrypt(stored[:storedSegment], aad.at(0, false))
	if err != nil || !bytes.Equal(first, want[:SegmentSize]) {
		t.Fatalf("Tink on the first segment: %v", err)
	}
	second, err := other.Decrypt(stored[storedSegment:], aad.at(1, true))
	if err != nil || !bytes.Equal(second, want[SegmentSize:]) {
		t.Fatalf("Tink on the last segment: %v", err)
	}

	var sealed []byte
	for i, piece := range [][]byte{want[:SegmentSize], want[SegmentSize:]} {
		b, err := other.Encrypt(piece, aad.at(int64(i), i == 1))
		if err != nil {
			t.Fatal(err)
		}
		sealed = append(sealed, b...)
	}
	l := MultipartLayout([]Part{part})
	if got := readAll(t, d.Open(KindMultipart, l, l.Span(0, part.Size), bytes.NewReader(sealed))); !bytes.Equal(got, want) {
		t.Error("data sealed by Tink opens as something else")
	}

	facts, err := other.Encrypt([]byte{1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0}, sealedAAD(KindSingle, tagFacts))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.OpenFacts(KindSingle, StoredSize(5), facts); err != nil {
		t.Errorf("facts sealed by Tink: %v", err)
	}
}

func TestADEKIsWrappedAndUnwrappedUnderATinkKey(t *testing.T) {
	handle, err := keyset.NewHandle(aead.AES256GCMNoPrefixKeyTemplate())
	if err != nil {
		t.Fatal(err)
	}
	window, err := aead.New(handle)
	if err != nil {
		t.Fatal(err)
	}
	d := newTestDEK(t)
	blob, err := d.Wrap(window, []byte("context"))
	if err != nil || len(blob) != 60 {
		t.Fatalf("wrapped to %d bytes, %v", len(blob), err)
	}
	again, err := UnwrapDEK(window, blob, []byte("context"))
	if err != nil || again.CheckCommitment(d.Commitment()) != nil {
		t.Fatalf("unwrapped to another key, %v", err)
	}
	if _, err := UnwrapDEK(window, blob, []byte("contexu")); !errors.Is(err, ErrKey) {
		t.Errorf("another context: %v", err)
	}
	short, _ := window.Encrypt(make([]byte, 31), nil)
	if _, err := UnwrapDEK(window, short, nil); !errors.Is(err, ErrKey) {
		t.Errorf("a key of 31 bytes: %v", err)
	}
}

func TestTheCommitmentIsHKDFOfTheKey(t *testing.T) {
	// Made with Python: HKDF(SHA256(), 32, salt=None, info=b"s3proxy commit v1").derive(bytes(32))
	const want = "f550461516d7fc9f84b0adb7db9f092046595e216782088a1f9532ce79e0ef74"
	d, err := DEKFromBytes(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	c := d.Commitment()
	if got := hex.EncodeToString(c[:]); got != want {
		t.Errorf("%s, expected %s", got, want)
	}
	c[31] ^= 0x80
	if err := d.CheckCommitment(c); !errors.Is(err, ErrCommitment) {
		t.Errorf("another commitment: %v", err)
	}
}

func TestADestroyedKeyDoesNothing(t *testing.T) {
	d := newTestDEK(t)
	handle, _ := keyset.NewHandle(aead.AES256GCMNoPrefixKeyTemplate())
	window, _ := aead.New(handle)
	d.Destroy()
	if d.raw != [KeySize]byte{} {
		t.Error("the raw key is still there")
	}
	if _, err := d.Wrap(window, nil); !errors.Is(err, ErrKey) {
		t.Errorf("Wrap: %v", err)
	}
	if err := d.WithBytes(func([]byte) error { return nil }); !errors.Is(err, ErrKey) {
		t.Errorf("WithBytes: %v", err)
	}
	if _, err := d.SealFacts(KindSingle, 0, Facts{}); !errors.Is(err, ErrKey) {
		t.Errorf("SealFacts: %v", err)
	}
	if _, err := d.SealPart(KindSingle, Part{}, bytes.NewReader(nil)).Read(make([]byte, 9)); !errors.Is(err, ErrKey) {
		t.Errorf("SealPart: %v", err)
	}
	if _, err := d.Open(KindSingle, SingleLayout(1), SingleLayout(1).Span(0, 1), nil).Read(make([]byte, 9)); !errors.Is(err, ErrKey) {
		t.Errorf("Open: %v", err)
	}
}

func TestAKeyDoesNotPrintItself(t *testing.T) {
	d, _ := DEKFromBytes(bytes.Repeat([]byte{0xab}, 32))
	for _, format := range []string{"%v", "%+v", "%s", "%x", "%#v"} {
		if out := fmt.Sprintf(format, d); out != "envelope.DEK" {
			t.Errorf("%s prints %.60s", format, out)
		}
	}
}
