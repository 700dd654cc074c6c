package envelope

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

// besides makes sure that there is another core, as far as Go knows.
func besides(t *testing.T) {
	t.Helper()
	if before := runtime.GOMAXPROCS(0); before < 2 {
		runtime.GOMAXPROCS(2)
		t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	}
}

// soon waits until something holds.
func soon(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// tap is a source that a test lets flow: it gives no more bytes than were allowed.
type tap struct {
	mu      sync.Mutex
	more    *sync.Cond
	allowed int
	given   int
}

func newTap(allowed int) *tap {
	s := &tap{allowed: allowed}
	s.more = sync.NewCond(&s.mu)
	return s
}

func (s *tap) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.given == s.allowed {
		s.more.Wait()
	}
	n := min(len(p), s.allowed-s.given)
	for i := range p[:n] {
		p[i] = 't'
	}
	s.given += n
	return n, nil
}

func (s *tap) allow(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allowed += n
	s.more.Broadcast()
}

func (s *tap) gave() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.given
}

func TestReadingAheadChangesNoByte(t *testing.T) {
	besides(t)
	d := newTestDEK(t)
	for _, n := range append(edgeSizes, 2*batch*SegmentSize, 2*batch*SegmentSize+1, 30*SegmentSize+5) {
		want := plaintext(n)
		seal := func() *SealReader {
			d.random = seeded("same")
			return d.SealObject(int64(n), iotest.HalfReader(bytes.NewReader(want)), nil)
		}
		plain := readAll(t, seal())
		s := seal()
		s.ReadAhead()
		if !bytes.Equal(readAll(t, s), plain) {
			t.Errorf("%d bytes: what is read ahead is sealed otherwise", n)
		}
		s = seal()
		s.ReadAhead()
		var written bytes.Buffer
		if _, err := s.WriteTo(&written); err != nil || !bytes.Equal(written.Bytes(), plain) {
			t.Errorf("%d bytes: what is read ahead is written otherwise, %v", n, err)
		}
	}
	if left := readingAhead.Load(); left != 0 {
		t.Errorf("%d readers that have ended still count", left)
	}
}

func TestOneBatchIsReadAheadAndNoMore(t *testing.T) {
	besides(t)
	const size = batch * SegmentSize
	src := newTap(10 * size)
	s := newTestDEK(t).SealPart(KindSingle, Part{Size: 20 * size}, src)
	defer s.Close()
	s.ReadAhead()
	for used := 1; used <= 3; used++ {
		if _, err := io.ReadFull(s, make([]byte, batch*storedSegment)); err != nil {
			t.Fatal(err)
		}
		soon(t, "the next batch is not read while the last one is used", func() bool { return src.gave() == (used+1)*size })
		time.Sleep(20 * time.Millisecond)
		if gave := src.gave(); gave != (used+1)*size {
			t.Fatalf("%d bytes were read when %d were used", gave, used*size)
		}
	}
}

func TestWhatWasReadAheadComesOnlyAfterTheSourceSaidEOF(t *testing.T) {
	besides(t)
	d := newTestDEK(t)
	for _, n := range []int{2 * batch * SegmentSize, 2*batch*SegmentSize + 1, 9*SegmentSize + 7} {
		for name, c := range badSources(n) {
			s := d.SealObject(int64(n), c.src, func() Facts { t.Error("facts before EOF"); return Facts{} })
			s.ReadAhead()
			got, err := io.ReadAll(s)
			if !errors.Is(err, c.want) {
				t.Errorf("%d, %s: %v, expected %v", n, name, err, c.want)
			}
			if most := int(segments(int64(n))-1) * storedSegment; len(got) > most {
				t.Errorf("%d, %s: %d bytes came, more than the %d before the last segment", n, name, len(got), most)
			}
			if _, again := s.Read(make([]byte, 10)); again == nil || again == io.EOF {
				t.Errorf("%d, %s: the next Read returns %v", n, name, again)
			}
		}
	}
}

func TestAClosedReaderLeavesNothingBehindOfWhatItReadAhead(t *testing.T) {
	besides(t)
	const size = batch * SegmentSize
	src := newTap(size + SegmentSize/2)
	s := newTestDEK(t).SealPart(KindSingle, Part{Size: 20 * size}, src)
	s.ReadAhead()
	if _, err := s.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	soon(t, "nothing is read ahead", func() bool { return src.gave() == size+SegmentSize/2 })
	used, next := s.buf, s.ahead.buf
	s.Close() // must not wait for the source
	if !allZero(used.b) {
		t.Error("the buffer in use was not cleared")
	}
	if readingAhead.Load() != 1 {
		t.Error("a buffer was given back while the source writes into it")
	}
	src.allow(10 * size)
	soon(t, "the second buffer is not given back", func() bool { return readingAhead.Load() == 0 })
	if !allZero(next.b) {
		t.Error("the second buffer was given back with plaintext in it")
	}
	if gave := src.gave(); gave != size+SegmentSize {
		t.Errorf("the source was read on: %d bytes", gave)
	}
	if _, err := s.Read(make([]byte, 1)); err == nil {
		t.Error("a closed reader can be read")
	}
}

// breaking panics behind its first bytes.
type breaking struct{ left int }

func (s *breaking) Read(p []byte) (int, error) {
	if s.left == 0 {
		panic("the source breaks")
	}
	n := min(len(p), s.left)
	s.left -= n
	return n, nil
}

func TestAPanicOfASourceThatIsReadAheadIsAnError(t *testing.T) {
	besides(t)
	const size = batch * SegmentSize
	s := newTestDEK(t).SealPart(KindSingle, Part{Size: 20 * size}, &breaking{size + 5})
	s.ReadAhead()
	got, err := io.ReadAll(struct{ io.Reader }{s})
	if len(got) != batch*storedSegment || err == nil || !strings.Contains(err.Error(), "the source breaks") {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if left := readingAhead.Load(); left != 0 {
		t.Errorf("%d readers that have ended still count", left)
	}
}

func TestNoMoreThanSomeReadersReadAhead(t *testing.T) {
	besides(t)
	const size = batch * SegmentSize
	d := newTestDEK(t)
	for range maxAhead + 3 {
		s := d.SealPart(KindSingle, Part{Size: 20 * size}, zeros{})
		defer s.Close()
		s.ReadAhead()
		for range 3 {
			if _, err := io.ReadFull(s, make([]byte, batch*storedSegment)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := readingAhead.Load(); n != maxAhead {
		t.Errorf("%d readers read ahead", n)
	}
}

// TestAKeyMayGoWhileItsReaderStillReads is for the race detector: who gives up a copy destroys the
// source's key, while the copy may still read ahead of its store.
func TestAKeyMayGoWhileItsReaderStillReads(t *testing.T) {
	const n = 3 * SegmentSize
	d := newTestDEK(t)
	stored := readAll(t, d.SealObject(n, bytes.NewReader(plaintext(n)), nil))
	o := d.OpenObject(KindSingle, SingleLayout(n), int64(len(stored)), nil, bytes.NewReader(stored))
	done := make(chan error, 1)
	go func() { _, err := io.Copy(io.Discard, struct{ io.Reader }{o}); done <- err }()
	d.Destroy()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
