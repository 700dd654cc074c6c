package envelope

import (
	"fmt"
	"sort"
)

// Limits of format 1. Sizes are plaintext bytes.
const (
	// MaxParts and MinPartSize are S3's; the last part may be smaller than MinPartSize.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
	MaxParts    = 10000
	MinPartSize = 5 << 20
	// MaxObjectSize is 10,000 parts of 5 GiB, more than any store takes (S3's own limit is 50 TB).
	// One DEK then seals at most 8.2e8 segments, below the 2^32 that NIST SP 800-38D, 8.3, allows
	// with random IVs.
	MaxObjectSize int64 = MaxParts * (5 << 30)
)

// The two constants of the size function. They leave room for the part table of any legal layout;
// TestTrailerRoom tries it.
const (
	trailerBase    = 256
	trailerPerPart = 160
)

// segments is the number of segments of a part of n bytes. An empty part has one.
func segments(n int64) int64 { return max(1, (n+SegmentSize-1)/SegmentSize) }

// StoredPartSize is the ciphertext length of a part with n plaintext bytes, n >= 0.
func StoredPartSize(n int64) int64 { return n + SegmentOverhead*segments(n) }

// StoredSize is S(n): the stored length of an object with n plaintext bytes, however it is divided
// into parts. It is strictly increasing, and -1 if n is negative or over MaxObjectSize.
func StoredSize(n int64) int64 {
	if n < 0 || n > MaxObjectSize {
		return -1
	}
	return StoredPartSize(n) + maxTrailer(n)
}

// maxTrailer is the trailer's length when the parts need no more segments than a single part
// would. Each further partial segment shortens the trailer by 28 bytes.
func maxTrailer(n int64) int64 {
	return trailerBase + trailerPerPart*(min(n/MinPartSize, MaxParts-1)+1)
}

// PlainSize is the inverse of StoredSize. ok is false if no plaintext size gives that stored size.
// Any value of stored is allowed.
func PlainSize(stored int64) (n int64, ok bool) {
	if stored < StoredSize(0) || stored > StoredSize(MaxObjectSize) {
		return 0, false
	}
	// S is strictly increasing and S(n) > n, so the answer is below stored.
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

// Layout says where the bytes of one object are. It is pure arithmetic.
type Layout struct {
	kind  Kind
	parts []Part
	// plain[i] and stored[i] are the offsets of part i in plaintext and in ciphertext. Both have
	// one element more than parts: the end.
	plain, stored []int64
	err           error // set if no object can have these parts
}

// SingleLayout is the layout of an object of size plaintext bytes, written with one PUT.
func SingleLayout(size int64) Layout {
	return newLayout(KindSingle, []Part{{Size: size}})
}

// MultipartLayout is the layout of an object with these parts, as a [Trailer] lists them. It keeps
// the slice. If no object can have these parts, the layout has no size and no spans, and every
// reader refuses it with ErrLayout.
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

// BodySize is the ciphertext length of all parts, which is the offset of the trailer.
func (l Layout) BodySize() int64 {
	if len(l.parts) == 0 {
		return 0
	}
	return l.stored[len(l.parts)]
}

// Part returns the offset and size of a part in plaintext. Number 1 is the first part, whatever
// number the upload gave it, and the whole of a single object, as in S3's GET with partNumber=1.
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

// Span is the ciphertext needed to read a range of plaintext: whole segments.
type Span struct {
	Offset, Length int64 // ciphertext bytes in the stored object

	at    cursor // the first segment
	skip  int64  // plaintext bytes of the first segment that precede the range
	take  int64  // plaintext bytes in the range
	legal bool
}

// Span returns the ciphertext for length plaintext bytes starting at offset. The range must lie
// within the object and may be empty only if the object is. An illegal range gives the zero Span,
// which [DEK.Open] refuses with ErrLayout.
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

// From returns the ciphertext from the segment that contains the stored byte at offset to the end
// of the last part, to be read in full. It is the zero Span if no part contains that byte.
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

// cursor names a segment: the index of its part, and its index within the part.
type cursor struct {
	part    int
	segment int64
}

// find returns the segment that contains the plaintext byte at offset. An empty part contains
// none: it is found only if the whole object is empty.
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
