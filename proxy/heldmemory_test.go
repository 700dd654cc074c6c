package proxy

import (
	"bytes"
	"testing"
)

func TestHeldMemoryIsClearedAndOfItsSize(t *testing.T) {
	var m heldMemory
	for _, size := range []int64{0, 1, heldLeast, heldLeast + 1, heldLeast + heldExtra, heldLeast + heldExtra + 1, holdLimit - 1, holdLimit, holdLimit + heldExtra, holdLimit + heldExtra + 1} {
		for range 3 {
			h := m.get(size)
			buf := h.bytes
			if int64(len(buf)) != size || bytes.ContainsFunc(buf[:cap(buf)], func(r rune) bool { return r != 0 }) {
				t.Fatalf("%d bytes: %d bytes of %d, with somebody's data", size, len(buf), cap(buf))
			}
			if room := heldRoom(size); int64(cap(buf)) != room {
				t.Errorf("%d bytes: %d of memory, and %d are counted", size, cap(buf), room)
			}
			for i := range buf {
				buf[i] = 'x'
			}
			h.Close()
		}
	}
}
