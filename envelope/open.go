package envelope

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
)

// OpenReader returns authenticated plaintext while it pulls ciphertext from its source. It never
// returns a byte of a segment that did not authenticate, but does return all segments before the
// first bad one. It is for one goroutine, but any goroutine may call Close.
type OpenReader struct {
	guard
	aead   cipher.AEAD
	src    io.Reader
	layout Layout
	aad    segmentAAD
	at     cursor // the next segment to read
	left   int64  // ciphertext bytes of segments not yet pulled
	skip   int64  // plaintext bytes to drop
	take   int64  // plaintext bytes to return after those
	first  bool   // nothing was pulled yet
	// finish checks what follows the last segment, before that segment's plaintext is returned;
	// nil for a span.
	finish  func() error
	trailer *Trailer

	ready []byte // plaintext at the start of buf.b, not yet returned
	err   error  // returned after ready
}

// Open decrypts s, a span of l. ciphertext must give the s.Length bytes of the stored object that
// start at s.Offset; Open reads nothing after them.
//
// Errors: ErrTruncated if the source ends early, ErrTampered if a segment does not authenticate,
// ErrLayout if l, k and s do not belong together. Any other error of the source is wrapped.
func (d *DEK) Open(k Kind, l Layout, s Span, ciphertext io.Reader) *OpenReader {
	o := d.newOpenReader(k, l, ciphertext)
	if o.err == nil && (!s.legal || s.at.part >= len(l.parts)) {
		o.err = fmt.Errorf("%w: not a span of this object", ErrLayout)
	}
	if o.err == nil {
		o.start(s.at, s.Length, s.skip, s.take)
	}
	return o
}

// OpenObject decrypts a whole object, given all its stored bytes, trailer included; stored is the
// length the store announced. The plaintext of the last segment is withheld until the trailer has
// been read and opened, matches the layout (and want, unless that is nil), and is followed by
// io.EOF.
//
// Errors are those of Open, and ErrTrailer. For KindMultipart, want must be the trailer from which
// the layout was made (ErrLayout without it); for KindSingle it may be nil. For KindEmpty there
// must be no bytes at all, and the layout is ignored.
func (d *DEK) OpenObject(k Kind, l Layout, stored int64, want *Trailer, ciphertext io.Reader) *OpenReader {
	if k == KindEmpty {
		return openEmpty(stored, ciphertext)
	}
	o := d.newOpenReader(k, l, ciphertext)
	switch {
	case o.err != nil:
	case stored != StoredSize(l.Size()):
		o.err = fmt.Errorf("%w: %d stored bytes for %d of plaintext", ErrTrailer, stored, l.Size())
	case want == nil && k == KindMultipart:
		o.err = fmt.Errorf("%w: a multipart object is read with its trailer", ErrLayout)
	default:
		o.start(cursor{}, l.BodySize(), 0, l.Size())
		key := &DEK{aead: d.aead} // who gives the reader up may destroy d while the source is still read
		o.finish = func() error { return o.readTrailer(key, k, stored, want) }
	}
	return o
}

func openEmpty(stored int64, ciphertext io.Reader) *OpenReader {
	o := &OpenReader{err: io.EOF}
	if stored != 0 {
		o.err = fmt.Errorf("%w: %d stored bytes in an empty object", ErrTrailer, stored)
	} else if err := expectEOF(ciphertext); err != nil {
		o.err = behind(err)
	}
	return o
}

func (d *DEK) newOpenReader(k Kind, l Layout, src io.Reader) *OpenReader {
	o := &OpenReader{aead: d.aead, src: src, layout: l}
	if d.aead == nil {
		o.err = fmt.Errorf("%w: it was destroyed", ErrKey)
	} else if k != l.kind {
		o.err = fmt.Errorf("%w: a layout of kind %q for an object of kind %q", ErrLayout, l.kind, k)
	} else {
		o.err = l.err
	}
	return o
}

func (o *OpenReader) start(at cursor, left, skip, take int64) {
	o.at, o.left, o.skip, o.take, o.first = at, left, skip, take, true
	o.aad = newSegmentAAD(o.layout.kind, o.layout.parts[at.part])
}

// Trailer returns the object's trailer; nil before io.EOF and for a span.
func (o *OpenReader) Trailer() *Trailer { return o.trailer }

// Read returns plaintext that is ready, or else pulls the next segments.
func (o *OpenReader) Read(p []byte) (n int, err error) {
	defer o.leave()
	if !o.enter() {
		return 0, errClosed
	}
	if len(p) == 0 {
		return 0, nil
	}
	if !o.advance() {
		return 0, o.err
	}
	n = copy(p, o.ready)
	o.ready = o.ready[n:]
	return n, nil
}

// WriteTo writes the rest to w, several segments at a time, straight from the buffer in which they
// were opened.
func (o *OpenReader) WriteTo(w io.Writer) (n int64, err error) {
	defer o.leave()
	if !o.enter() {
		return 0, errClosed
	}
	for o.advance() {
		written, err := writeAll(w, o.ready)
		n += int64(written)
		o.ready = o.ready[written:]
		if err != nil {
			o.buf = nil // over HTTP/2, net/http may still send from it when a client has closed its stream
			return n, err
		}
	}
	if o.err == io.EOF {
		return n, nil
	}
	return n, o.err
}

// advance makes sure that ready is not empty. It returns false if there is nothing more; err says
// why.
func (o *OpenReader) advance() bool {
	for len(o.ready) == 0 && o.err == nil {
		if o.left == 0 {
			o.err = io.EOF
		} else {
			o.fill()
		}
	}
	if len(o.ready) == 0 {
		o.release()
		return false
	}
	return true
}

// fill pulls the next segments and opens them one after another, each into the room of those before
// it. Segments that arrived whole before the source ended or failed are still opened and returned.
func (o *OpenReader) fill() {
	limit := openBatch
	if o.first { // the first byte should not wait for seven segments
		limit, o.first = 1, false
	}
	if o.buf == nil {
		o.buf = takeOpenBuffer(o.left)
	}
	var at [openBatch]cursor
	count, want := 0, int64(0)
	for c := o.at; count < limit && want < o.left; c = o.layout.next(c) {
		at[count] = c
		count++
		want += SegmentOverhead + o.layout.segmentSize(c)
	}
	plain, rest := o.buf.b, o.buf.b[openRoom:]
	got, err := io.ReadFull(o.src, rest[:want])
	rest = rest[:got]
	from, to := 0, 0 // the bounds in plain of what is authentic and in the range
	defer func() { o.ready = plain[from:to] }()
	for _, c := range at[:count] {
		size := SegmentOverhead + o.layout.segmentSize(c)
		if int64(len(rest)) < size {
			o.err = sourceError(err)
			return
		}
		o.buf.used = max(o.buf.used, to+int(size)-SegmentOverhead)
		var skipped, taken int
		if skipped, taken, o.err = o.openSegment(c, rest[:size], plain[to:]); o.err != nil {
			return
		}
		from += skipped // only before the first byte of the range
		to += skipped + taken
		rest = rest[size:]
	}
}

// openSegment decrypts a segment to the start of dst. It returns how much of the plaintext lies
// before the range, and how much inside it.
func (o *OpenReader) openSegment(c cursor, sealed, dst []byte) (skipped, taken int, err error) {
	if c.segment == 0 {
		o.aad = newSegmentAAD(o.layout.kind, o.layout.parts[c.part])
	}
	plaintext, err := o.aead.Open(dst[:0], sealed[:ivSize], sealed[ivSize:], o.aad.at(c.segment, o.layout.lastInPart(c)))
	if err != nil {
		return 0, 0, fmt.Errorf("%w: part %d, segment %d", ErrTampered, o.layout.parts[c.part].Number, c.segment)
	}
	o.at = o.layout.next(c)
	o.left -= int64(len(sealed))
	if o.left == 0 && o.finish != nil {
		if err := o.finish(); err != nil {
			return 0, 0, err
		}
	}
	skip := min(o.skip, int64(len(plaintext)))
	take := min(o.take, int64(len(plaintext))-skip)
	o.skip = 0
	o.take -= take
	return int(skip), int(take), nil
}

// sourceError distinguishes a source that ended from one that failed.
func sourceError(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrTruncated
	}
	return fmt.Errorf("envelope: reading ciphertext: %w", err)
}

// behind returns the error for whatever was found where the object should have ended.
func behind(err error) error {
	if errors.Is(err, errMore) {
		return fmt.Errorf("%w: there are more bytes behind the object", ErrTrailer)
	}
	return sourceError(err)
}

func (o *OpenReader) readTrailer(d *DEK, k Kind, stored int64, want *Trailer) error {
	suffix := make([]byte, stored-o.layout.BodySize()) // at most 1.6 MB, by the size function
	if _, err := io.ReadFull(o.src, suffix); err != nil {
		return sourceError(err)
	}
	if err := expectEOF(o.src); err != nil {
		return behind(err)
	}
	t, err := d.OpenTrailer(k, stored, suffix)
	if more := (*NeedMore)(nil); errors.As(err, &more) {
		return fmt.Errorf("%w: it begins inside the last part", ErrTrailer)
	}
	if err != nil {
		return err
	}
	if !sameParts(t.Parts, o.layout.parts) {
		return fmt.Errorf("%w: its parts are not those of the layout", ErrTrailer)
	}
	if want != nil && !t.equal(want) {
		return fmt.Errorf("%w: it is not the one that was read before", ErrTrailer)
	}
	o.trailer = t
	return nil
}
