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
	// heldClasses is how many sizes there are: heldLeast to holdLimit.
	heldClasses = 5
)

// heldMemory keeps the memory of held bodies for the next ones, in classes from heldLeast to
// holdLimit, each twice as large as the one before: new memory is cleared once more by the runtime,
// and collected later. All that is given back has been cleared.
type heldMemory struct{ classes [heldClasses]sync.Pool }

// get returns a body of size bytes, which may be anything but somebody's data. The caller closes it.
func (m *heldMemory) get(size int64) *heldBody {
	class, shared := heldClass(size)
	if !shared {
		return &heldBody{bytes: make([]byte, size)}
	}
	kept, ok := m.classes[class].Get().(*[]byte)
	if !ok {
		fresh := make([]byte, heldRoom(size))
		kept = &fresh
	}
	return &heldBody{bytes: (*kept)[:size], kept: kept, from: &m.classes[class]}
}

// heldClass is the class of a body of size bytes; shared is false if it has memory of its own.
func heldClass(size int64) (class int, shared bool) {
	class = bits.Len64(uint64(max(size-heldExtra, heldLeast)-1)) - bits.Len64(heldLeast-1)
	return class, size > heldLeast && class < heldClasses
}

// heldRoom is how many bytes of memory a body of size bytes takes.
func heldRoom(size int64) int64 {
	if class, shared := heldClass(size); shared {
		return heldLeast<<class + heldExtra
	}
	return size
}
