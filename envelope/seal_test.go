package envelope

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
)

func newTestDEK(t testing.TB) *DEK {
	t.Helper()
	d, err := NewDEK()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func plaintext(n int) []byte {
	b := make([]byte, n)
	seeded("plaintext")(b)
	return b
}

var edgeSizes = []int{0, 1, 5, SegmentSize - 1, SegmentSize, SegmentSize + 1, 2*SegmentSize - 1, 2 * SegmentSize,
	batch*SegmentSize - 1, batch * SegmentSize, batch*SegmentSize + 1, 9*SegmentSize + 7}

func TestWhatIsSealedOpensAgainAndHasItsStoredSize(t *testing.T) {
	d := newTestDEK(t)
	for _, n := range edgeSizes {
		want := plaintext(n)
		facts := Facts{MD5: make([]byte, 16), Checksum: Checksum{SHA256, FullObject, make([]byte, 32)}}
		stored := readAll(t, d.SealObject(int64(n), iotest.HalfReader(bytes.NewReader(want)), func() Facts { return facts }))
		if int64(len(stored)) != StoredSize(int64(n)) {
			t.Fatalf("%d bytes are stored as %d, not %d", n, len(stored), StoredSize(int64(n)))
		}
		o := d.OpenObject(KindSingle, SingleLayout(int64(n)), int64(len(stored)), nil, iotest.DataErrReader(bytes.NewReader(stored)))
		if got := readAll(t, o); !bytes.Equal(got, want) {
			t.Fatalf("%d bytes come back as %d others", n, len(got))
		}
		if got := o.Trailer(); got == nil || !bytes.Equal(got.Facts.Checksum.Value, facts.Checksum.Value) || got.Size != int64(n) {
			t.Fatalf("the trailer says %+v", got)
		}
	}
}

func TestSealReadersGiveTheSameHoweverTheyAreRead(t *testing.T) {
	d := newTestDEK(t)
	want := plaintext(5*SegmentSize + 3)
	seal := func() *SealReader {
		d.random = seeded("same")
		return d.SealObject(int64(len(want)), bytes.NewReader(want), nil)
	}
	first := readAll(t, seal())
	var written bytes.Buffer
	if n, err := seal().WriteTo(&written); err != nil || n != int64(len(first)) {
		t.Fatalf("WriteTo wrote %d bytes, %v", n, err)
	}
	large := make([]byte, len(first)+100)
	if n, err := seal().Read(large); err != nil || n != len(first) {
		t.Errorf("one large Read returned %d of %d bytes, %v", n, len(first), err)
	}
	small := readAll(t, iotest.OneByteReader(seal()))
	if !bytes.Equal(first, written.Bytes()) || !bytes.Equal(first, small) || !bytes.Equal(first, large[:len(first)]) {
		t.Error("the bytes differ")
	}
}

// endsWith returns data and then an error of the test's choice.
type endsWith struct {
	io.Reader
	err error
}

func (e endsWith) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	if err == io.EOF {
		err = e.err
	}
	return n, err
}

// badSource is a source of n bytes that does not end well.
type badSource struct {
	src  io.Reader
	want error
}

func badSources(n int) map[string]badSource {
	full, refused := strings.Repeat("x", n), errors.New("the checksum is wrong")
	all := map[string]badSource{
		"an error at the end": {endsWith{strings.NewReader(full), refused}, refused},
		"a byte too many":     {strings.NewReader(full + "x"), ErrTooLong},
		"no end":              {io.MultiReader(strings.NewReader(full), stuck{}), io.ErrNoProgress},
	}
	if n > 0 {
		all["a byte too few"] = badSource{strings.NewReader(full[1:]), io.ErrUnexpectedEOF}
	}
	return all
}

func TestTheLastSegmentComesOnlyAfterTheSourceSaidEOF(t *testing.T) {
	d := newTestDEK(t)
	for _, n := range edgeSizes {
		for name, c := range badSources(n) {
			for kind, s := range map[string]*SealReader{
				"object": d.SealObject(int64(n), c.src, func() Facts { t.Error("facts before EOF"); return Facts{} }),
			} {
				got, err := io.ReadAll(s)
				if !errors.Is(err, c.want) {
					t.Errorf("%s of %d, %s: %v, expected %v", kind, n, name, err, c.want)
				}
				if most := int(segments(int64(n))-1) * storedSegment; len(got) > most {
					t.Errorf("%s of %d, %s: %d bytes came, more than the %d before the last segment", kind, n, name, len(got), most)
				}
				if _, again := s.Read(make([]byte, 10)); again == nil || again == io.EOF {
					t.Errorf("%s of %d, %s: the next Read returns %v", kind, n, name, again)
				}
			}
		}
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestPartsThatTheFormatDoesNotHaveAreNotSealed(t *testing.T) {
	d := newTestDEK(t)
	for name, c := range map[string]struct {
		kind Kind
		part Part
		want error
	}{
		"number 0":            {KindMultipart, Part{}, ErrLayout},
		"number 10001":        {KindMultipart, Part{Number: 10001}, ErrLayout},
		"negative size":       {KindMultipart, Part{Number: 1, Size: -1}, ErrLayout},
		"single with number":  {KindSingle, Part{Number: 1}, ErrLayout},
		"single with an id":   {KindSingle, Part{ID: PartID{1}}, ErrLayout},
		"empty":               {KindEmpty, Part{}, ErrLayout},
		"larger than objects": {KindSingle, Part{Size: MaxObjectSize + 1}, ErrTooLong},
	} {
		if b, err := io.ReadAll(d.SealPart(c.kind, c.part, strings.NewReader(""))); !errors.Is(err, c.want) || len(b) > 0 {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
}

// blocking lets a test hold a Read inside the source.
type blocking struct {
	inside  chan struct{}
	release chan struct{}
	once    sync.Once
}

func (b *blocking) Read(p []byte) (int, error) {
	b.once.Do(func() { close(b.inside); <-b.release })
	for i := range p {
		p[i] = 's'
	}
	return len(p), nil
}

func TestABufferIsNotGivenToAnotherWhileAReadIsInIt(t *testing.T) {
	d := newTestDEK(t)
	src := &blocking{inside: make(chan struct{}), release: make(chan struct{})}
	s := d.SealPart(KindSingle, Part{Size: 10 * SegmentSize}, src)
	done := make(chan error)
	go func() { _, err := s.Read(make([]byte, 10)); done <- err }()
	<-src.inside
	held := s.buf
	s.Close() // must not block, nor give the buffer back
	if held == nil || s.buf != held {
		t.Error("Close gave back a buffer that is being read into")
	}
	close(src.release)
	<-done
	if s.buf != nil {
		t.Error("the buffer was not given back when the Read ended")
	}
	if !allZero(held.b) {
		t.Error("the buffer was given back with plaintext in it")
	}
	if _, err := s.Read(make([]byte, 1)); err == nil {
		t.Error("a closed reader can be read")
	}
}

func TestBuffersAreClearedWhenTheyAreGivenBack(t *testing.T) {
	d := newTestDEK(t)
	for _, n := range edgeSizes {
		stored := readAll(t, d.SealObject(int64(n), bytes.NewReader(plaintext(n)), nil))
		o := d.OpenObject(KindSingle, SingleLayout(int64(n)), int64(len(stored)), nil, bytes.NewReader(stored))
		if _, err := o.Read(make([]byte, 1)); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		held, used := o.buf, 0
		if held != nil {
			used = held.used
		}
		o.Close()
		if n > 0 && used == 0 || held != nil && !allZero(held.b[:used]) { // ciphertext may stay
			t.Errorf("%d bytes: the buffer still has plaintext after Close", n)
		}
	}
}

func TestReadingHoldsAFewSegmentsWhateverTheSize(t *testing.T) {
	d := newTestDEK(t)
	size := int64(64 << 20)
	allocated := testing.AllocsPerRun(1, func() {
		s := d.SealPart(KindSingle, Part{Size: size}, io.LimitReader(zeros{}, size))
		if _, err := io.Copy(io.Discard, s); err != nil {
			t.Error(err)
		}
		o := d.Open(KindSingle, SingleLayout(size), SingleLayout(size).Span(0, size), &sealedAgain{s: d.SealPart(KindSingle, Part{Size: size}, io.LimitReader(zeros{}, size))})
		if _, err := io.Copy(io.Discard, o); err != nil {
			t.Error(err)
		}
	})
	if allocated > 60 { // 1,024 segments each way
		t.Errorf("%.0f allocations for 64 MiB there and back", allocated)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// sealedAgain hides WriteTo, so that io.Copy cannot take that shortcut.
type sealedAgain struct{ s *SealReader }

func (s *sealedAgain) Read(p []byte) (int, error) { return s.s.Read(p) }
