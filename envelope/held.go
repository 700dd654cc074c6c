package envelope

import (
	"errors"
	"fmt"
	"io"
)

// HeldObject is an object of one PUT in memory: its plaintext is read to where it is then sealed,
// so that nothing is copied. It is for one goroutine.
type HeldObject struct {
	b      []byte
	size   int64
	filled bool // with a whole plaintext, which is not sealed yet
}

// NewHeldObject uses memory of at least StoredSize(size) bytes for an object of size plaintext
// bytes. It keeps the slice, whose owner clears it: only a whole object holds no plaintext.
func NewHeldObject(memory []byte, size int64) (*HeldObject, error) {
	stored := StoredSize(size)
	if stored < 0 || int64(len(memory)) < stored {
		return nil, fmt.Errorf("%w: %d bytes of plaintext in %d of memory", ErrLayout, size, len(memory))
	}
	return &HeldObject{b: memory[:stored], size: size}, nil
}

// Fill reads the whole plaintext, and src's io.EOF behind it. The errors are those of
// [DEK.SealPart].
func (h *HeldObject) Fill(src io.Reader) error {
	h.filled = false
	left := h.size
	for at := h.b; left > 0; at = at[min(storedSegment, len(at)):] {
		n := min(SegmentSize, left)
		got, err := io.ReadFull(src, at[ivSize:ivSize+n])
		left -= int64(got)
		if err != nil {
			return endedEarly(err, h.size-left, h.size)
		}
	}
	if err := expectEOF(src); err != nil {
		return notTheEnd(err, h.size)
	}
	h.filled = true
	return nil
}

// SealHeld seals a plaintext where it is, and returns the StoredSize bytes of the object.
func (d *DEK) SealHeld(h *HeldObject, facts Facts) ([]byte, error) {
	if d.aead == nil {
		return nil, fmt.Errorf("%w: it was destroyed", ErrKey)
	}
	if !h.filled {
		return nil, errors.New("envelope: there is no plaintext to seal")
	}
	h.filled = false
	part := Part{Size: h.size}
	s := segmentSealer{aead: d.aead, random: d.random, aad: newSegmentAAD(KindSingle, part)}
	at := h.b
	for left, first := h.size, true; first || left > 0; first = false {
		var sizes [batch]int
		count, stored := 0, 0
		for ; count < batch && (left > 0 || first && count == 0); count++ {
			sizes[count] = int(min(SegmentSize, left))
			left -= int64(sizes[count])
			stored += sizes[count] + SegmentOverhead
		}
		s.seal(at[:stored], sizes[:count], left == 0)
		at = at[stored:]
	}
	trailer, err := d.SealTrailer(&Trailer{Kind: KindSingle, Parts: []Part{part}, Size: h.size, Facts: facts})
	if err != nil {
		return nil, err
	}
	if len(trailer) != len(at) {
		return nil, fmt.Errorf("%w: a trailer of %d bytes where there is room for %d", ErrLayout, len(trailer), len(at))
	}
	copy(at, trailer)
	return h.b, nil
}
