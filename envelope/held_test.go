package envelope

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/iotest"
)

func TestAnObjectSealedInPlaceIsTheSameAsAStreamedOne(t *testing.T) {
	d := newTestDEK(t)
	facts := Facts{MD5: make([]byte, 16), Checksum: Checksum{SHA256, FullObject, make([]byte, 32)}}
	for _, n := range edgeSizes {
		plain := plaintext(n)
		d.random = seeded("same")
		want := readAll(t, d.SealObject(int64(n), bytes.NewReader(plain), func() Facts { return facts }))
		d.random = seeded("same")
		memory := bytes.Repeat([]byte{'x'}, len(want)+10)
		h, err := NewHeldObject(memory, int64(n))
		if err == nil {
			err = h.Fill(iotest.HalfReader(bytes.NewReader(plain)))
		}
		if err != nil {
			t.Fatal(n, err)
		}
		got, err := d.SealHeld(h, facts)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %d stored bytes that are not the %d expected, %v", n, len(got), len(want), err)
		}
		if string(memory[len(want):]) != "xxxxxxxxxx" {
			t.Errorf("%d bytes: something is written behind the object", n)
		}
		if _, err := d.SealHeld(h, facts); err == nil {
			t.Errorf("%d bytes: what was sealed is sealed once more", n)
		}
	}
}

func TestWhatIsHeldIsSealedOnlyIfItIsWhole(t *testing.T) {
	d := newTestDEK(t)
	for _, n := range edgeSizes {
		for name, c := range badSources(n) {
			h, err := NewHeldObject(make([]byte, StoredSize(int64(n))), int64(n))
			if err != nil {
				t.Fatal(err)
			}
			if err := h.Fill(c.src); !errors.Is(err, c.want) {
				t.Errorf("%d, %s: %v, expected %v", n, name, err, c.want)
			}
			if got, err := d.SealHeld(h, Facts{}); err == nil || got != nil {
				t.Errorf("%d, %s: %d bytes are sealed", n, name, len(got))
			}
		}
	}
	if _, err := NewHeldObject(make([]byte, StoredSize(100)-1), 100); !errors.Is(err, ErrLayout) {
		t.Errorf("too little memory: %v", err)
	}
	if _, err := NewHeldObject(make([]byte, 1000), -1); !errors.Is(err, ErrLayout) {
		t.Errorf("a negative size: %v", err)
	}
	h, err := NewHeldObject(make([]byte, StoredSize(3)), 3)
	if err == nil {
		err = h.Fill(strings.NewReader("abc"))
	}
	if err != nil {
		t.Fatal(err)
	}
	d.Destroy()
	if _, err := d.SealHeld(h, Facts{}); !errors.Is(err, ErrKey) {
		t.Errorf("a destroyed key: %v", err)
	}
}
