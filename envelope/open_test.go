package envelope

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// multipartObject makes a real object: two large parts, and a small or empty last one.
func multipartObject(t testing.TB, d *DEK, last int) (stored, plain []byte, trailer *Trailer) {
	t.Helper()
	plain = plaintext(2*MinPartSize + 70_000 + last)
	trailer = &Trailer{Kind: KindMultipart, Size: int64(len(plain)), UploadHash: UploadHash("upload"), Parts: []Part{
		{Number: 2, Size: MinPartSize + 70_000, ID: NewPartID(), MD5: make([]byte, 16)},
		{Number: 5, Size: MinPartSize, ID: NewPartID(), Checksum: Checksum{Algorithm: CRC32, Value: []byte("four")}},
		{Number: 10000, Size: int64(last), ID: NewPartID()},
	}}
	rest := plain
	for _, p := range trailer.Parts {
		stored = append(stored, readAll(t, d.SealPart(KindMultipart, p, bytes.NewReader(rest[:p.Size])))...)
		rest = rest[p.Size:]
	}
	end, err := d.SealTrailer(trailer)
	if err != nil {
		t.Fatal(err)
	}
	stored = append(stored, end...)
	if int64(len(stored)) != StoredSize(trailer.Size) {
		t.Fatalf("stored %d bytes, not %d", len(stored), StoredSize(trailer.Size))
	}
	return stored, plain, trailer
}

func TestAMultipartObjectOpensWholeAndInRanges(t *testing.T) {
	d := newTestDEK(t)
	for _, last := range []int{0, 1, 100_000} {
		stored, plain, trailer := multipartObject(t, d, last)
		l := MultipartLayout(trailer.Parts)
		o := d.OpenObject(KindMultipart, l, int64(len(stored)), trailer, bytes.NewReader(stored))
		if got := readAll(t, o); !bytes.Equal(got, plain) || !o.Trailer().equal(trailer) {
			t.Fatalf("%d bytes come back as %d others", len(plain), len(got))
		}
		r := testRand()
		for range rounds(300) {
			offset := r.Int64N(l.Size())
			length := 1 + r.Int64N(min(l.Size()-offset, 300_000))
			s := l.Span(offset, length)
			got := readAll(t, d.Open(KindMultipart, l, s, bytes.NewReader(stored[s.Offset:s.Offset+s.Length])))
			if !bytes.Equal(got, plain[offset:offset+length]) {
				t.Fatalf("range %d+%d is wrong", offset, length)
			}
		}
	}
}

func TestOpenReadsNothingBehindItsSpan(t *testing.T) {
	d := newTestDEK(t)
	stored := readAll(t, d.SealObject(3*SegmentSize, bytes.NewReader(plaintext(3*SegmentSize)), nil))
	l := SingleLayout(3 * SegmentSize)
	s := l.Span(10, 5)
	src := bytes.NewReader(stored[s.Offset:])
	readAll(t, d.Open(KindSingle, l, s, src))
	if got := int64(len(stored)) - s.Offset - int64(src.Len()); got != s.Length {
		t.Errorf("read %d bytes for a span of %d", got, s.Length)
	}
}

func TestATrailerThatIsNotTheOneReadBeforeIsRefused(t *testing.T) {
	d := newTestDEK(t)
	stored, plain, trailer := multipartObject(t, d, 9)
	for name, change := range map[string]func(*Trailer){
		"another upload":      func(t *Trailer) { t.UploadHash[0]++ },
		"another MD5":         func(t *Trailer) { t.Facts.MD5 = make([]byte, 16) },
		"another part's MD5":  func(t *Trailer) { t.Parts[0].MD5 = nil },
		"another checksum":    func(t *Trailer) { t.Parts[1].Checksum = Checksum{} },
		"another kind's word": func(t *Trailer) { t.Kind = KindSingle },
	} {
		want := *trailer
		want.Parts = append([]Part(nil), trailer.Parts...)
		change(&want)
		o := d.OpenObject(KindMultipart, MultipartLayout(trailer.Parts), int64(len(stored)), &want, bytes.NewReader(stored))
		got, err := io.ReadAll(o)
		if !errors.Is(err, ErrTrailer) || len(got) != len(plain)-9 {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

func TestReadersThatDoNotFitTheirLayoutAreRefused(t *testing.T) {
	d := newTestDEK(t)
	single, parts := SingleLayout(5), MultipartLayout([]Part{{Number: 1, Size: 5}})
	none := strings.NewReader("")
	for name, o := range map[string]*OpenReader{
		"multipart without its trailer":   d.OpenObject(KindMultipart, parts, StoredSize(5), nil, none),
		"a single's layout for multipart": d.Open(KindMultipart, single, single.Span(0, 1), none),
		"no layout":                       d.Open(KindSingle, Layout{}, Span{}, none),
		"a span of another layout":        d.Open(KindSingle, single, Span{}, none),
		"parts that no object has":        d.Open(KindMultipart, MultipartLayout(nil), Span{}, none),
	} {
		if b, err := io.ReadAll(o); !errors.Is(err, ErrLayout) || len(b) > 0 {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
}

func TestAFailingSourceIsDistinguishedFromTampering(t *testing.T) {
	d := newTestDEK(t)
	const n = 6 * SegmentSize
	stored := readAll(t, d.SealObject(n, bytes.NewReader(plaintext(n)), nil))
	reset := errors.New("connection reset")
	for at := 0; at < len(stored); at += 30_001 {
		whole := min(at/storedSegment, 5) * SegmentSize
		for _, c := range []struct{ given, want error }{{reset, reset}, {io.EOF, ErrTruncated}, {fmt.Errorf("body: %w", io.ErrUnexpectedEOF), ErrTruncated}} {
			src := io.MultiReader(bytes.NewReader(stored[:at]), iotest.ErrReader(c.given))
			got, err := io.ReadAll(d.OpenObject(KindSingle, SingleLayout(n), int64(len(stored)), nil, src))
			if !errors.Is(err, c.want) || errors.Is(err, ErrTampered) || len(got) != whole {
				t.Errorf("%v after %d bytes: released %d of %d, %v", c.given, at, len(got), whole, err)
			}
		}
	}
}

func TestAWriterThatFailsEndsWriteToWithItsError(t *testing.T) {
	d := newTestDEK(t)
	full := errors.New("disk full")
	stored := readAll(t, d.SealObject(100, bytes.NewReader(plaintext(100)), nil))
	o := d.OpenObject(KindSingle, SingleLayout(100), int64(len(stored)), nil, bytes.NewReader(stored))
	if n, err := o.WriteTo(failing{full}); err != full || n != 3 {
		t.Errorf("OpenReader wrote %d, %v", n, err)
	}
	if n, err := d.SealObject(100, bytes.NewReader(plaintext(100)), nil).WriteTo(failing{full}); err != full || n != 3 {
		t.Errorf("SealReader wrote %d, %v", n, err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 3, f.err }

func TestAnAnnouncedSizeThatIsNotTheLayoutsIsRefused(t *testing.T) {
	d := newTestDEK(t)
	stored := readAll(t, d.SealObject(5, strings.NewReader("hello"), nil))
	for _, announced := range []int64{-1, 0, 5, StoredSize(5) - 1, StoredSize(5) + 1, 1 << 60} {
		o := d.OpenObject(KindSingle, SingleLayout(5), announced, nil, bytes.NewReader(stored))
		if b, err := io.ReadAll(o); !errors.Is(err, ErrTrailer) || len(b) > 0 {
			t.Errorf("announced as %d: %d bytes, %v", announced, len(b), err)
		}
	}
	if _, err := io.ReadAll(d.OpenObject(KindEmpty, Layout{}, 5, nil, strings.NewReader(""))); !errors.Is(err, ErrTrailer) {
		t.Errorf("an empty object of 5 bytes: %v", err)
	}
}

// The segments are from one sending of the part, the trailer names another, and the caller mixes
// them up: only the trailer can reveal it.
func TestATrailerThatIsNotTheLayoutsIsRefused(t *testing.T) {
	d := newTestDEK(t)
	sent := Part{Number: 1, Size: 5, ID: PartID{1}}
	listed := Part{Number: 1, Size: 5, ID: PartID{2}}
	trailer := &Trailer{Kind: KindMultipart, Parts: []Part{listed}, Size: 5}
	stored := append(readAll(t, d.SealPart(KindMultipart, sent, strings.NewReader("hello"))), must(d.SealTrailer(trailer))...)
	o := d.OpenObject(KindMultipart, MultipartLayout([]Part{sent}), int64(len(stored)), trailer, bytes.NewReader(stored))
	if b, err := io.ReadAll(o); !errors.Is(err, ErrTrailer) || len(b) > 0 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

// keepingWriter fails, and may go on reading what it was given.
type keepingWriter struct{ kept []byte }

func (w *keepingWriter) Write(p []byte) (int, error) {
	w.kept = p
	return 0, io.ErrClosedPipe
}

func TestWhatAFailedWriterMayStillReadIsNotUsedAgain(t *testing.T) {
	d := newTestDEK(t)
	const n = 3*SegmentSize + 5
	stored := readAll(t, d.SealObject(n, bytes.NewReader(bytes.Repeat([]byte{'p'}, n)), nil))
	o := d.OpenObject(KindSingle, SingleLayout(n), int64(len(stored)), nil, bytes.NewReader(stored))
	w := &keepingWriter{}
	if _, err := o.WriteTo(w); !errors.Is(err, io.ErrClosedPipe) {
		t.Fatal(err)
	}
	o.Close()
	if len(w.kept) == 0 || bytes.ContainsFunc(w.kept, func(r rune) bool { return r != 'p' }) {
		t.Error("what the writer was given has changed")
	}
	if o.buf != nil {
		t.Error("the reader still has the memory, and would give it back")
	}
}
