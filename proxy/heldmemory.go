package proxy

import (
	"math/bits"
	"sync"
)

const (
	// heldLeast is the size of the smallest class of heldMemory, in bytes. What is not larger has
	// memory of its own: net/http sends a body that it knows to be in memory together with the
	// headers, which spares more than the memory costs.
	heldLeast = 64 << 10
	// heldExtra is what memory has beyond its class: what sealing adds to a body fits in.
	heldExtra = 4 << 10
)

// heldMemory keeps the memory of held bodies for the next ones, in classes from heldLeast to
// holdLimit, each twice as large as the one before: new memory is cleared once more by the runtime,
// and collected later. All that is given back has been cleared.
type heldMemory struct{ classes [5]sync.Pool }

// get returns a body of size bytes, which may be anything but somebody's data. The caller closes it.
func (m *heldMemory) get(size int64) *heldBody {
	class := bits.Len64(uint64(max(size-heldExtra, heldLeast)-1)) - bits.Len64(heldLeast-1)
	if size <= heldLeast || class >= len(m.classes) {
		return &heldBody{bytes: make([]byte, size)}
	}
	kept, ok := m.classes[class].Get().(*[]byte)
	if !ok {
		fresh := make([]byte, heldLeast<<class+heldExtra)
		kept = &fresh
	}
	return &heldBody{bytes: (*kept)[:size], kept: kept, from: &m.classes[class]}
}
