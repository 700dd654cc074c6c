package envelope

import (
	"crypto/sha256"
	"errors"
	"fmt"
)

// PartID is drawn at random each time a part is sent, so that segments of two sendings of the same
// part number cannot be mixed. It is zero in a single PUT.
type PartID [12]byte

// NewPartID draws an ID from crypto/rand.
func NewPartID() (id PartID) {
	fillRandom(id[:])
	return id
}

// Part is one part of an object. An object written with one PUT has one part with number 0, a zero
// ID, no MD5 and no checksum of its own.
type Part struct {
	Number   int    // 1 to MaxParts; 0 in a single PUT
	Size     int64  // plaintext bytes
	ID       PartID //
	MD5      []byte // 16 bytes, or nil if unknown
	Checksum Checksum
	// Checksum.Type is not kept: a part's checksum always covers the whole part.
}

func (p Part) check(k Kind) error {
	switch {
	case p.Size < 0 || p.Size > MaxObjectSize:
		return fmt.Errorf("a part of %d bytes", p.Size)
	case k == KindSingle && (p.Number != 0 || p.ID != PartID{} || len(p.MD5) != 0 || p.Checksum.Algorithm != NoChecksum):
		return errors.New("the part of a single object has a number, an id or a checksum")
	case k == KindMultipart && (p.Number < 1 || p.Number > MaxParts):
		return fmt.Errorf("part number %d", p.Number)
	case k != KindSingle && k != KindMultipart:
		return fmt.Errorf("a part in an object of kind %q", k)
	}
	return errors.Join(checkMD5(p.MD5), p.Checksum.checkValue())
}

// checkParts checks a part table for everything the size function relies on, and returns the sum
// of the sizes.
func checkParts(k Kind, parts []Part) (size int64, err error) {
	if len(parts) < 1 || len(parts) > MaxParts || (k == KindSingle && len(parts) != 1) {
		return 0, fmt.Errorf("%d parts in an object of kind %q", len(parts), k)
	}
	for i, p := range parts {
		if err := p.check(k); err != nil {
			return 0, err
		}
		if i > 0 && p.Number <= parts[i-1].Number {
			return 0, fmt.Errorf("part %d behind part %d", p.Number, parts[i-1].Number)
		}
		if i < len(parts)-1 && p.Size < MinPartSize {
			return 0, fmt.Errorf("part %d has %d bytes and is not the last", p.Number, p.Size)
		}
		size += p.Size // at most 10,000 times MaxObjectSize: below 2^63
		if size > MaxObjectSize {
			return 0, fmt.Errorf("more than %d bytes", MaxObjectSize)
		}
	}
	return size, nil
}

// UploadHash is the form of an upload id in summaries and part records: the first 16 bytes of its
// SHA-256.
func UploadHash(uploadID string) [16]byte {
	sum := sha256.Sum256([]byte(uploadID))
	return [16]byte(sum[:16])
}
