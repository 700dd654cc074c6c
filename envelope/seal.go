package envelope

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
)

var errClosed = errors.New("envelope: reader is closed")

// SealReader returns the ciphertext of a part or a single object while it pulls the plaintext from
// its source. It holds a few segments at most, whatever the size. It is for one goroutine, but any
// goroutine may call Close.
type SealReader struct {
	guard
	segments segmentSealer
	plain    plainSource
	next     plainBatch             // read ahead
	sealed   bool                   // the last segment is sealed
	trailer  func() ([]byte, error) // nil for a part
	out      []byte                 // sealed and not yet returned: in buf, or the trailer
	err      error                  // returned after out
}

// SealPart returns the ciphertext of one part, exactly StoredPartSize(p.Size) bytes. It uses p's
// Number, Size and ID; for KindSingle p has only a Size.
//
// The last segment is sealed and returned only after src has answered io.EOF right after p.Size
// bytes. So whatever src checks at its end decides whether the store ever gets a whole body. If
// src has fewer bytes, the error is io.ErrUnexpectedEOF; if more, ErrTooLong; an error of src is
// returned unchanged. In all three cases the last segment never comes. A part that the format does
// not allow is ErrLayout at the first Read.
func (d *DEK) SealPart(k Kind, p Part, src io.Reader) *SealReader {
	s := &SealReader{segments: segmentSealer{aead: d.aead, random: d.random, aad: newSegmentAAD(k, p)}}
	s.plain = plainSource{src: src, size: p.Size, left: p.Size, closed: &s.closed}
	if err := p.check(k); err != nil {
		s.err = fmt.Errorf("%w: %w", ErrLayout, err)
	}
	if p.Size > MaxObjectSize {
		s.err = fmt.Errorf("%w: %d bytes, and the format ends at %d", ErrTooLong, p.Size, MaxObjectSize)
	}
	if d.aead == nil {
		s.err = fmt.Errorf("%w: it was destroyed", ErrKey)
	}
	return s
}

// SealObject returns the StoredSize(size) bytes of an object written with one PUT: the part as in
// SealPart, then the trailer. facts is called once, after src's io.EOF, and may be nil if nothing
// is known of the plaintext.
func (d *DEK) SealObject(size int64, src io.Reader, facts func() Facts) *SealReader {
	s := d.SealPart(KindSingle, Part{Size: size}, src)
	s.trailer = func() ([]byte, error) {
		t := &Trailer{Kind: KindSingle, Parts: []Part{{Size: size}}, Size: size}
		if facts != nil {
			t.Facts = facts()
		}
		return d.SealTrailer(t)
	}
	return s
}

// ReadAhead lets the reader pull the next segments from its source while it seals the last ones and
// its caller writes them, where the body is long and there is another core. It takes a second buffer.
// It is to be called before the first Read, by who will call Close. The source is then read in
// goroutines of the reader, one after another; its last call may outlast Close.
func (s *SealReader) ReadAhead() {
	s.ahead.want(func(buf *buffer) { s.next = s.plain.readAside(buf) })
}

// Read fills p as far as the source allows.
func (s *SealReader) Read(p []byte) (n int, err error) {
	defer s.leave()
	if !s.enter() {
		return 0, errClosed
	}
	for n < len(p) {
		if !s.advance() {
			if n > 0 {
				return n, nil
			}
			return 0, s.err
		}
		copied := copy(p[n:], s.out)
		s.out = s.out[copied:]
		n += copied
	}
	return n, nil
}

// WriteTo writes the rest to w, straight from the buffer in which it was sealed.
func (s *SealReader) WriteTo(w io.Writer) (n int64, err error) {
	defer s.leave()
	if !s.enter() {
		return 0, errClosed
	}
	for s.advance() {
		written, err := writeAll(w, s.out)
		n += int64(written)
		s.out = s.out[written:]
		if err != nil {
			return n, err
		}
	}
	if s.err == io.EOF {
		return n, nil
	}
	return n, s.err
}

func writeAll(w io.Writer, b []byte) (int, error) {
	n, err := w.Write(b)
	if n < 0 || n > len(b) {
		return 0, errors.New("envelope: the writer gave an impossible count")
	}
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return n, err
}

// advance makes sure that out is not empty. It returns false if there is nothing more; err says
// why.
func (s *SealReader) advance() bool {
	for len(s.out) == 0 && s.err == nil {
		switch {
		case !s.sealed:
			s.err = s.fill()
		case s.trailer != nil:
			s.out, s.err = s.trailer()
			s.trailer = nil
		default:
			s.err = io.EOF
		}
	}
	if len(s.out) == 0 {
		s.release()
		return false
	}
	return true
}

// fill pulls the next segments and seals them in place.
func (s *SealReader) fill() error {
	var b plainBatch
	if s.ahead.take(&s.buf) {
		b = s.next
	} else {
		if s.buf == nil {
			s.buf = takeBuffer(StoredPartSize(s.plain.left))
		}
		b = s.plain.read(s.buf)
	}
	if b.err != nil {
		return b.err
	}
	// The batch with the last segment is never read ahead: whether the body has ended well is asked
	// when the caller has all that comes before, as without reading ahead.
	if s.plain.left > batch*SegmentSize {
		s.ahead.start(s.buf)
	}
	s.sealed = b.last
	s.out = s.buf.b[:b.end]
	s.segments.seal(s.out, b.sizes[:b.count], b.last)
	return nil
}

// segmentSealer seals the segments of one part, one after another.
type segmentSealer struct {
	aead   cipher.AEAD
	random func([]byte)
	aad    segmentAAD
	index  int64                // of the next segment
	ivs    [batch * ivSize]byte // drawn for a whole batch at once
}

// seal seals up to batch segments of these sizes in place: each lies in buf behind room for its IV
// and before room for its tag. end says that the last of them is the part's last.
func (s *segmentSealer) seal(buf []byte, sizes []int, end bool) {
	s.random(s.ivs[:len(sizes)*ivSize])
	for i, n := range sizes {
		iv := buf[:ivSize]
		copy(iv, s.ivs[i*ivSize:])
		plaintext := buf[ivSize : ivSize+n]
		last := end && i == len(sizes)-1
		s.aead.Seal(plaintext[:0], iv, plaintext, s.aad.at(s.index, last))
		s.index++
		buf = buf[n+SegmentOverhead:]
	}
}
