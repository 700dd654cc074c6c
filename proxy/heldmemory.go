package proxy

import (
	"math/bits"
	"sync"
)

// heldMemory keeps the memory of held plaintext for the next PUT, in classes of the powers of two up
// to holdLimit: new memory is cleared once more by the runtime, and collected later. All that is given
// back has been cleared.
//
// Only what nobody reads any more may be given back. That rules out what net/http sends: its
// connection may go on reading a body after an early answer, or after a client's stream was closed.
type heldMemory struct{ classes [21]sync.Pool } // 1<<0 to 1<<20 bytes

// get returns size bytes, which may be anything but somebody's data.
func (m *heldMemory) get(size int64) []byte {
	class := bits.Len64(uint64(max(size, 1) - 1))
	if class >= len(m.classes) {
		return make([]byte, size)
	}
	if kept, ok := m.classes[class].Get().(*[]byte); ok {
		return (*kept)[:size]
	}
	return make([]byte, size, 1<<class)
}

// put takes back what get returned.
func (m *heldMemory) put(buf []byte) {
	clear(buf)
	if class := bits.Len(uint(cap(buf))) - 1; class >= 0 && class < len(m.classes) && cap(buf) == 1<<class {
		m.classes[class].Put(&buf)
	}
}
