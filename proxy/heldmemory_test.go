package proxy

import (
	"bytes"
	"testing"
)

func TestHeldMemoryIsClearedAndOfItsSize(t *testing.T) {
	var m heldMemory
	for _, size := range []int64{0, 1, 2, 3, 4095, 4096, 4097, holdLimit - 1, holdLimit, holdLimit + 1} {
		for range 3 {
			buf := m.get(size)
			if int64(len(buf)) != size || bytes.ContainsFunc(buf[:cap(buf)], func(r rune) bool { return r != 0 }) {
				t.Fatalf("%d bytes: %d bytes of %d, with somebody's data", size, len(buf), cap(buf))
			}
			for i := range buf {
				buf[i] = 'x'
			}
			m.put(buf)
		}
	}
}
