package envelope

import (
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// rounds is how often to try a property: n times, a tenth of that with -short, and multiplied by
// S3PROXY_TEST_SCALE if that is set.
func rounds(n int) int {
	if scale, err := strconv.Atoi(os.Getenv("S3PROXY_TEST_SCALE")); err == nil && scale > 0 {
		return n * scale
	}
	if testing.Short() {
		return n / 10
	}
	return n
}

func testRand() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// anySize returns a random size, over all orders of magnitude up to the largest.
func anySize(r *rand.Rand) int64 {
	if r.IntN(2) == 0 {
		return r.Int64N(MaxObjectSize + 1)
	}
	return r.Int64N(MaxObjectSize >> r.IntN(46))
}

func checkSize(t *testing.T, n int64) {
	stored := StoredSize(n)
	if got, ok := PlainSize(stored); !ok || got != n {
		t.Fatalf("PlainSize(StoredSize(%d) = %d) = %d, %v", n, stored, got, ok)
	}
	if n == MaxObjectSize {
		return
	}
	next := StoredSize(n + 1)
	if next <= stored {
		t.Fatalf("StoredSize(%d) = %d and StoredSize(%d) = %d", n, stored, n+1, next)
	}
	if next-stored > 1 {
		for _, between := range []int64{stored + 1, next - 1} {
			if got, ok := PlainSize(between); ok {
				t.Fatalf("PlainSize(%d) = %d, between StoredSize(%d) and the next", between, got, n)
			}
		}
	}
}

func TestStoredSizeIsStrictlyIncreasingAndPlainSizeIsItsInverse(t *testing.T) {
	edges := []int64{0, SegmentSize, 2 * SegmentSize, MinPartSize, 2 * MinPartSize, 1 << 30, 5 << 30,
		(MaxParts - 1) * MinPartSize, MaxParts * MinPartSize, MaxObjectSize / 2, MaxObjectSize}
	around := int64(rounds(100_000)) / 2
	for _, edge := range edges {
		for n := max(0, edge-around); n <= min(MaxObjectSize, edge+around); n++ {
			checkSize(t, n)
		}
	}
	r := testRand()
	for range rounds(2_000_000) {
		checkSize(t, anySize(r))
	}
	// Around random multiples of a segment and of 5 MiB, where S jumps.
	for range rounds(200_000) {
		unit := []int64{SegmentSize, MinPartSize}[r.IntN(2)]
		edge := anySize(r) / unit * unit
		for n := max(0, edge-2); n <= min(MaxObjectSize, edge+2); n++ {
			checkSize(t, n)
		}
	}
}

func TestPlainSizeRefusesWhatNoObjectHasAndNeverPanics(t *testing.T) {
	for _, stored := range []int64{math.MinInt64, -1, 0, 1, 8, 443, StoredSize(MaxObjectSize) + 1, math.MaxInt64, StoredSize(SegmentSize) + 1, StoredSize(SegmentSize) + 28} {
		if n, ok := PlainSize(stored); ok {
			t.Errorf("PlainSize(%d) = %d", stored, n)
		}
	}
	for _, n := range []int64{math.MinInt64, -1, MaxObjectSize + 1, math.MaxInt64} {
		if got := StoredSize(n); got != -1 {
			t.Errorf("StoredSize(%d) = %d", n, got)
		}
	}
}

func TestStoredSizeIsWhatTheFormatSays(t *testing.T) {
	for n, want := range map[int64]int64{0: 444, 1: 445, 5: 449, 65535: 65979, 65536: 65980, 65537: 66009,
		5 << 20: 5<<20 + 80*28 + 256 + 2*160, 1 << 30: 1<<30 + 16384*28 + 256 + 205*160,
		MaxObjectSize: MaxObjectSize + MaxObjectSize/65536*28 + 256 + 10000*160} {
		if got := StoredSize(n); got != want {
			t.Errorf("StoredSize(%d) = %d, expected %d", n, got, want)
		}
	}
}

// anyParts returns a legal layout of any number of parts, with sizes at and near the limits more
// often than chance would give.
func anyParts(r *rand.Rand, count int) []Part {
	parts := make([]Part, count)
	number := 0
	for i := range parts {
		number += 1 + r.IntN((MaxParts-number-(count-i))/(count-i)+1)
		size := int64(MinPartSize)
		switch r.IntN(4) {
		case 0:
			size += r.Int64N(2 * SegmentSize)
		case 1:
			size += SegmentSize*r.Int64N(100) + r.Int64N(3)
		case 2:
			size += r.Int64N(5<<30 - MinPartSize)
		}
		if i == count-1 {
			size = []int64{0, 1, r.Int64N(MinPartSize), SegmentSize * r.Int64N(3), size}[r.IntN(5)]
		}
		parts[i] = Part{Number: number, Size: size}
	}
	return parts
}

func checkRoom(t *testing.T, parts []Part) {
	size, err := checkParts(KindMultipart, parts)
	if err != nil {
		t.Fatal(err)
	}
	trailer := &Trailer{Kind: KindMultipart, Parts: parts, Size: size}
	padding := trailer.length() - int64(trailerEnd) - SegmentOverhead - 4 - int64(entrySize*len(parts))
	if padding < 0 {
		t.Fatalf("%d parts of %d bytes leave %d for padding", len(parts), size, padding)
	}
	if trailer.length() > maxTrailer(size) {
		t.Fatalf("%d parts of %d bytes: a trailer of %d, over %d", len(parts), size, trailer.length(), maxTrailer(size))
	}
}

func TestTrailerRoom(t *testing.T) {
	r := testRand()
	for range rounds(200_000) {
		count := 1 + r.IntN(20)
		if r.IntN(1000) == 0 {
			count = 1 + r.IntN(MaxParts)
		}
		checkRoom(t, anyParts(r, count))
	}
	for _, last := range []int64{0, 1, SegmentSize, MinPartSize} {
		for _, other := range []int64{MinPartSize, MinPartSize + 1, MinPartSize + SegmentSize - 1} {
			for _, count := range []int{1, 2, 3, 100, MaxParts - 1, MaxParts} {
				parts := make([]Part, count)
				for i := range parts {
					parts[i] = Part{Number: i + 1, Size: other}
				}
				parts[count-1].Size = last
				checkRoom(t, parts)
			}
		}
	}
}

func TestASpanIsTheSegmentsThatItsRangeTouches(t *testing.T) {
	r := testRand()
	for range rounds(2000) {
		l := MultipartLayout(anyParts(r, 1+r.IntN(5)))
		if r.IntN(4) == 0 {
			l = SingleLayout(r.Int64N(300_000))
		}
		if l.err != nil {
			t.Fatal(l.err)
		}
		if l.Size() == 0 {
			continue
		}
		offset := r.Int64N(l.Size())
		length := 1 + r.Int64N(min(l.Size()-offset, 3*SegmentSize))
		checkSpan(t, l, offset, length)
	}
}

// checkSpan finds the segments of the range by walking, from a segment nearby.
func checkSpan(t *testing.T, l Layout, offset, length int64) {
	t.Helper()
	s := l.Span(offset, length)
	begin, end := int64(-1), int64(0)
	for i, p := range l.parts {
		if l.plain[i]+p.Size <= offset || l.plain[i] >= offset+length {
			continue
		}
		near := max(0, (offset-l.plain[i])/SegmentSize-1)
		for segment := near; segment < segments(p.Size) && segment < near+6; segment++ {
			from := l.plain[i] + segment*SegmentSize
			to := min(from+SegmentSize, l.plain[i]+p.Size)
			if to <= offset || from >= offset+length {
				continue
			}
			if begin < 0 {
				begin = l.stored[i] + segment*storedSegment
			}
			end = l.stored[i] + segment*storedSegment + to - from + SegmentOverhead
		}
	}
	if !s.legal || s.Offset != begin || s.Offset+s.Length != end || s.take != length {
		t.Fatalf("Span(%d, %d) is %d to %d, by walking %d to %d", offset, length, s.Offset, s.Offset+s.Length, begin, end)
	}
}

func TestFromSpansTheSegmentsFromAStoredByteToTheEnd(t *testing.T) {
	l := MultipartLayout([]Part{{Number: 1, Size: MinPartSize}, {Number: 2, Size: MinPartSize + 70_000}, {Number: 3, Size: 0}})
	starts := map[int64]int64{} // offset of a segment: plaintext bytes before it
	plain := int64(0)
	for i, p := range l.parts {
		for n := range segments(p.Size) {
			starts[l.stored[i]+n*storedSegment] = plain + n*SegmentSize
		}
		plain += p.Size
	}
	found := map[int64]bool{}
	for offset, before := int64(0), int64(0); offset < l.BodySize(); offset++ {
		if _, ok := starts[offset]; ok {
			before = offset
		}
		s := l.From(offset)
		if !s.legal || s.Offset != before || s.Offset+s.Length != l.BodySize() || s.skip != 0 || s.take != l.Size()-starts[before] {
			t.Fatalf("From(%d) is %+v, want from %d", offset, s, before)
		}
		found[before] = true
	}
	if len(found) != len(starts) {
		t.Errorf("%d of %d segments were found", len(found), len(starts))
	}
	for _, none := range []int64{-1, l.BodySize(), math.MaxInt64} {
		if s := l.From(none); s != (Span{}) {
			t.Errorf("From(%d) is %+v", none, s)
		}
	}
}

func TestAnIllegalRangeHasNoSpan(t *testing.T) {
	l := SingleLayout(100)
	for _, at := range [][2]int64{{-1, 1}, {0, 0}, {0, 101}, {100, 1}, {100, 0}, {1, math.MaxInt64}, {0, -1}, {math.MaxInt64, 1}} {
		if s := l.Span(at[0], at[1]); s != (Span{}) {
			t.Errorf("Span(%d, %d) = %+v", at[0], at[1], s)
		}
	}
	if s := SingleLayout(0).Span(0, 0); s.Length != SegmentOverhead {
		t.Errorf("the span of an empty object is %+v", s)
	}
	if s := MultipartLayout([]Part{{Number: 1, Size: 5}, {Number: 2, Size: 5}}).Span(0, 1); s != (Span{}) {
		t.Errorf("an impossible layout gives the span %+v", s)
	}
}

func TestPartsAreFoundByTheirNumber(t *testing.T) {
	l := MultipartLayout([]Part{{Number: 3, Size: MinPartSize}, {Number: 9, Size: 7}})
	for number, want := range map[int][3]int64{3: {0, MinPartSize, 1}, 9: {MinPartSize, 7, 1}, 1: {0, MinPartSize, 1}, 0: {}, 2: {}, 4: {}, 10: {}} {
		offset, size, ok := l.Part(number)
		if offset != want[0] || size != want[1] || ok != (want[2] == 1) {
			t.Errorf("Part(%d) = %d, %d, %v", number, offset, size, ok)
		}
	}
	if _, size, ok := SingleLayout(5).Part(1); !ok || size != 5 {
		t.Errorf("part 1 of a single object has %d bytes, %v", size, ok)
	}
	if _, _, ok := SingleLayout(5).Part(2); ok {
		t.Error("a single object has a part 2")
	}
}
