package envelope

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync/atomic"
)

// plainSource is the plaintext of a part, which is read by batches.
type plainSource struct {
	src    io.Reader
	size   int64        // bytes announced
	left   int64        // bytes not yet pulled
	begun  bool         // a batch was read; that of an empty part has one segment
	closed *atomic.Bool // nobody wants the rest
}

// plainBatch is the plaintext of the next segments in a buffer, each between room for its IV and for
// its tag.
type plainBatch struct {
	sizes [batch]int
	count int
	end   int  // how much of the buffer they take, in bytes
	last  bool // the part's last segment is among them, and the source has confirmed its end
	err   error
}

// read pulls the next segments into buf.
func (p *plainSource) read(buf *buffer) (b plainBatch) {
	for b.count < batch && (p.left > 0 || !p.begun) {
		if p.closed.Load() {
			b.err = errClosed
			return b
		}
		p.begun = true
		n := int(min(SegmentSize, p.left))
		buf.used = max(buf.used, b.end+SegmentOverhead+n)
		got, err := io.ReadFull(p.src, buf.b[b.end+ivSize:b.end+ivSize+n])
		p.left -= int64(got)
		if err != nil {
			b.err = endedEarly(err, p.size-p.left, p.size)
			return b
		}
		b.sizes[b.count] = n
		b.count++
		b.end += n + SegmentOverhead
	}
	if p.left == 0 {
		// This batch contains the last segment: none of it leaves before the source has
		// confirmed that the whole body is right.
		if err := expectEOF(p.src); err != nil {
			b.err = notTheEnd(err, p.size)
			return b
		}
		b.last = true
	}
	return b
}

// readAside is read in a goroutine of its own, in which nobody else recovers: a panic of the source
// would end the process, and its reader would wait for ever.
func (p *plainSource) readAside(buf *buffer) (b plainBatch) {
	defer func() {
		if cause := recover(); cause != nil {
			b = plainBatch{err: fmt.Errorf("envelope: panic: %v\n%s", cause, debug.Stack())}
		}
	}()
	return p.read(buf)
}

// endedEarly returns the error for a source that failed or ended after got of size bytes.
func endedEarly(err error, got, size int64) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("envelope: the source ended after %d of %d bytes: %w", got, size, io.ErrUnexpectedEOF)
	}
	return err
}

// notTheEnd returns the error of expectEOF behind size bytes.
func notTheEnd(err error, size int64) error {
	if errors.Is(err, errMore) {
		return fmt.Errorf("%w: %d bytes", ErrTooLong, size)
	}
	return err
}

var errMore = errors.New("envelope: more bytes than expected")

// expectEOF reads where r should have ended: nil after io.EOF, errMore if there is another byte,
// else r's error.
func expectEOF(r io.Reader) error {
	var one [1]byte
	for range 100 {
		n, err := r.Read(one[:])
		if n > 0 {
			return errMore
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}
