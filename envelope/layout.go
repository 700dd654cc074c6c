package envelope

import (
	"fmt"
	"sort"
)

// Limits of format 1, in plaintext bytes where they are sizes.
const (
	// MaxParts and MinPartSize are S3's; the last part may be smaller.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
	MaxParts    = 10000
	MinPartSize = 5 << 20
	// MaxObjectSize is 10,000 parts of 5 GiB, more than any store takes (S3's
	// own limit is 50 TB). A DEK then seals 8.2e8 segments, below the 2^32 that
	// NIST SP 800-38D, 8.3, allows with random IVs.
	MaxObjectSize int64 = MaxParts * (5 << 30)
)

// The two constants of the size function. They leave room for the largest part
// table of any legal layout; TestTrailerRoom tries it.
const (
	trailerBase    = 256
	trailerPerPart = 160
)

// segments counts those of a part of n bytes. An empty part has one.
func segments(n int64) int64 { return max(1, (n+SegmentSize-1)/SegmentSize) }

// StoredPartSize is the ciphertext length of a part with n plaintext bytes,
// n >= 0.
func StoredPartSize(n int64) int64 { return n + SegmentOverhead*segments(n) }

// StoredSize is S(n): the length of a stored object with n plaintext bytes,
// whatever its parts are. It is strictly increasing. -1 when n is negative or
// over MaxObjectSize.
func StoredSize(n int64) int64 {
	if n < 0 || n > MaxObjectSize {
		return -1
	}
	return StoredPartSize(n) + maxTrailer(n)
}

// maxTrailer is the trailer's length when the parts cost no more segments than
// a single one would; each further partial segment takes 28 off it.
func maxTrailer(n int64) int64 {
	return trailerBase + trailerPerPart*(min(n/MinPartSize, MaxParts-1)+1)
}

// PlainSize is the inverse of StoredSize; ok is false when no plaintext size
// has that stored size. Any stored is allowed.
func PlainSize(stored int64) (n int64, ok bool) {
	if stored < StoredSize(0) || stored > StoredSize(MaxObjectSize) {
		return 0, false
	}
	// S is strictly increasing and S(n) > n, so that the answer is below stored.
	low, high := int64(0), min(stored, MaxObjectSize)
	for low < high {
		middle := low + (high-low)/2
		if StoredSize(middle) < stored {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, StoredSize(low) == stored
}

// Layout is where the bytes of one object are: arithmetic only.
type Layout struct {
	kind  Kind
	parts []Part
	// plain[i] and stored[i] are where part i begins in plaintext and in
	// ciphertext; one element more than parts.
	plain, stored []int64
	err           error // the parts are none that an object can have
}

// SingleLayout is that of an object of one PUT with size plaintext bytes.
func SingleLayout(size int64) Layout {
	return newLayout(KindSingle, []Part{{Size: size}})
}

// MultipartLayout is that of an object with these parts, as a [Trailer] lists
// them. It keeps the slice. Parts that no object can have give a layout with no
// size and no span, which every reader refuses with ErrLayout.
func MultipartLayout(parts []Part) Layout { return newLayout(KindMultipart, parts) }

func newLayout(k Kind, parts []Part) Layout {
	if _, err := checkParts(k, parts); err != nil {
		return Layout{kind: k, err: fmt.Errorf("%w: %w", ErrLayout, err)}
	}
	l := Layout{kind: k, parts: parts, plain: make([]int64, len(parts)+1), stored: make([]int64, len(parts)+1)}
	for i, p := range parts {
		l.plain[i+1] = l.plain[i] + p.Size
		l.stored[i+1] = l.stored[i] + StoredPartSize(p.Size)
	}
	return l
}

// Size is the plaintext length of the object.
func (l Layout) Size() int64 {
	if len(l.parts) == 0 {
		return 0
	}
	return l.plain[len(l.parts)]
}

// BodySize is the ciphertext length of all parts: the trailer begins there.
func (l Layout) BodySize() int64 {
	if len(l.parts) == 0 {
		return 0
	}
	return l.stored[len(l.parts)]
}

// Part is where the plaintext of the part with this number begins and how long
// it is. Number 1 is the first part, whatever number the upload gave it, and all of a
// single object, as S3 has it for GET with partNumber=1.
func (l Layout) Part(number int) (offset, size int64, ok bool) {
	if l.kind == KindSingle {
		return 0, l.Size(), number == 1
	}
	i := sort.Search(len(l.parts), func(i int) bool { return l.parts[i].Number >= number })
	if i == len(l.parts) || l.parts[i].Number != number && number != 1 {
		return 0, 0, false
	}
	return l.plain[i], l.parts[i].Size, true
}

// Span is the ciphertext that a range of plaintext needs: whole segments.
type Span struct {
	Offset, Length int64 // ciphertext bytes in the stored object

	at    cursor // the first segment
	skip  int64  // plaintext bytes of it before the range
	take  int64  // plaintext bytes of the range
	legal bool
}

// Span gives the ciphertext of length plaintext bytes from offset on. The range
// must lie within the object and may be empty only where the object is. An
// illegal one gives the zero Span, which [DEK.Open] refuses with ErrLayout.
func (l Layout) Span(offset, length int64) Span {
	size := l.Size()
	if len(l.parts) == 0 || offset < 0 || length < 0 || offset > size || length > size-offset || (length == 0 && size > 0) {
		return Span{}
	}
	first := l.find(offset)
	last := first
	if length > 0 {
		last = l.find(offset + length - 1)
	}
	begin := l.storedAt(first)
	return Span{
		Offset: begin,
		Length: l.storedAt(last) + SegmentOverhead + l.segmentSize(last) - begin,
		at:     first,
		skip:   offset - l.plain[first.part] - first.segment*SegmentSize,
		take:   length,
		legal:  true,
	}
}

// From gives the ciphertext from the segment that has the stored byte at offset on to the end
// of the last part, with all of its plaintext. Where no part has that byte it is the zero Span.
func (l Layout) From(offset int64) Span {
	if offset < 0 || offset >= l.BodySize() {
		return Span{}
	}
	i := sort.Search(len(l.parts), func(i int) bool { return l.stored[i+1] > offset })
	first := cursor{part: i, segment: (offset - l.stored[i]) / (SegmentSize + SegmentOverhead)}
	begin := l.storedAt(first)
	return Span{
		Offset: begin,
		Length: l.BodySize() - begin,
		at:     first,
		take:   l.Size() - l.plain[i] - first.segment*SegmentSize,
		legal:  true,
	}
}

// cursor names one segment: index of the part, index of the segment in it.
type cursor struct {
	part    int
	segment int64
}

// find gives the segment that holds the plaintext byte at offset. An empty
// part holds none: it is found only where the whole object is empty.
func (l Layout) find(offset int64) cursor {
	i := sort.Search(len(l.parts), func(i int) bool { return l.plain[i+1] > offset })
	if i == len(l.parts) {
		return cursor{}
	}
	return cursor{part: i, segment: (offset - l.plain[i]) / SegmentSize}
}

func (l Layout) storedAt(c cursor) int64 {
	return l.stored[c.part] + c.segment*(SegmentSize+SegmentOverhead)
}

// segmentSize is the plaintext length of a segment.
func (l Layout) segmentSize(c cursor) int64 {
	return min(SegmentSize, l.parts[c.part].Size-c.segment*SegmentSize)
}

func (l Layout) lastInPart(c cursor) bool { return c.segment == segments(l.parts[c.part].Size)-1 }

func (l Layout) next(c cursor) cursor {
	if l.lastInPart(c) {
		return cursor{part: c.part + 1}
	}
	return cursor{part: c.part, segment: c.segment + 1}
}
