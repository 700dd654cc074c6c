package envelope

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
)

const storedSegment = SegmentSize + SegmentOverhead

// segmentAAD is the associated data of the segments of one part. It is made once and updated for
// each segment:
//
//	format u8 || kind u8 || part id[12] || part number u32 || segment index u64 || last u8
type segmentAAD [27]byte

func newSegmentAAD(k Kind, p Part) (a segmentAAD) {
	a[0], a[1] = Format, byte(k)
	copy(a[2:14], p.ID[:])
	binary.BigEndian.PutUint32(a[14:18], uint32(p.Number))
	return a
}

func (a *segmentAAD) at(index int64, last bool) []byte {
	binary.BigEndian.PutUint64(a[18:26], uint64(index))
	a[26] = 0
	if last {
		a[26] = 1
	}
	return a[:]
}

// batch and openBatch are how many segments a reader that seals, or one that opens, holds at once:
// enough to read and write in large pieces, few enough for thousands of requests.
const (
	batch     = 4
	openBatch = 7
)

// openRoom is how far before a batch of sealed segments their plaintext begins, in bytes. The plaintext
// of one segment never reaches its own ciphertext, only that of the segments before it. So it leaves
// in one piece, and takes no memory of its own.
const openRoom = SegmentSize

// buffer is memory for segments. Bytes that held plaintext are cleared before another request can
// get the buffer.
type buffer struct {
	b    []byte
	used int // no byte of b from here on has held plaintext
	home *sync.Pool
}

// Pools of several sizes, so that many small objects and ranges do not hold memory meant for large
// objects.
var (
	smallBuffers, largeBuffers                      = bufferPool(storedSegment), bufferPool(batch * storedSegment)
	smallOpenBuffers, openBuffers, largeOpenBuffers = bufferPool(openRoom + storedSegment), bufferPool(openRoom + batch*storedSegment), bufferPool(openRoom + openBatch*storedSegment)
)

func bufferPool(size int) *sync.Pool {
	p := &sync.Pool{}
	p.New = func() any { return &buffer{b: make([]byte, size), home: p} }
	return p
}

func takeBuffer(ciphertext int64) *buffer {
	if ciphertext <= storedSegment {
		return smallBuffers.Get().(*buffer)
	}
	return largeBuffers.Get().(*buffer)
}

func takeOpenBuffer(ciphertext int64) *buffer {
	switch {
	case ciphertext <= storedSegment:
		return smallOpenBuffers.Get().(*buffer)
	case ciphertext <= batch*storedSegment:
		return openBuffers.Get().(*buffer)
	}
	return largeOpenBuffers.Get().(*buffer)
}

func giveBack(b *buffer) {
	clear(b.b[:b.used])
	b.used = 0
	b.home.Put(b)
}

// guard allows Close during a Read, as net/http does with request bodies. The buffer goes back
// only when no call uses it; otherwise one request could see another's plaintext.
type guard struct {
	mu     sync.Mutex
	closed atomic.Bool
	buf    *buffer
	ahead  ahead // of a reader that reads ahead
}

// enter reports whether the reader is still open. The caller must call leave in either case.
func (g *guard) enter() bool {
	g.mu.Lock()
	return !g.closed.Load()
}

func (g *guard) leave() {
	g.mu.Unlock()
	if g.closed.Load() { // Close came during this call
		g.Close()
	}
}

// Close gives the buffer back. It does not close the source, never blocks, and may be called
// repeatedly and during a Read, which then ends with an error.
func (g *guard) Close() error {
	g.closed.Store(true)
	if g.mu.TryLock() {
		g.release()
		g.mu.Unlock()
	}
	return nil
}

func (g *guard) release() {
	if g.buf != nil {
		giveBack(g.buf)
		g.buf = nil
	}
	g.ahead.release()
}
