package checksum

import (
	"hash"
	"sync"
)

const (
	// besideFrom is how many bytes of a body are hashed at once before the rest is hashed beside it.
	besideFrom = 1 << 20
	// besideBlock is the size of a block that is hashed beside, in bytes, and besideBlocks how many of
	// them a body has.
	besideBlock  = 64 << 10
	besideBlocks = 4
)

var besideMemory = sync.Pool{New: func() any { return new([besideBlock]byte) }}

// beside is a hash that is computed beside what else is done with a body, where there is another
// core: MD5 takes as long as all else together, and no instruction of a processor speeds it up. Bytes
// are copied, and each block is hashed in a goroutine of its own when the one before is done: so
// nothing is left behind, and nothing has to be closed, wherever a body ends.
type beside struct {
	hash.Hash
	free  chan *[besideBlock]byte // blocks that were hashed
	taken int                     // blocks of this body
	last  chan struct{}           // closed when all that was written is hashed; nil: nothing was
}

func newBeside(h hash.Hash) *beside {
	return &beside{Hash: h, free: make(chan *[besideBlock]byte, besideBlocks)}
}

// Write waits when besideBlocks blocks wait to be hashed.
func (h *beside) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		block := h.block()
		n := copy(block[:], rest)
		rest = rest[n:]
		before, done := h.last, make(chan struct{})
		h.last = done
		go func() {
			if before != nil {
				<-before
			}
			h.Hash.Write(block[:n])
			clear(block[:n])
			h.free <- block
			close(done)
		}()
	}
	return len(b), nil
}

func (h *beside) block() *[besideBlock]byte {
	if h.taken < besideBlocks {
		h.taken++
		return besideMemory.Get().(*[besideBlock]byte)
	}
	return <-h.free
}

// Sum waits until every block is hashed; they go to the next body.
func (h *beside) Sum(b []byte) []byte {
	for ; h.taken > 0; h.taken-- {
		besideMemory.Put(<-h.free)
	}
	return h.Hash.Sum(b)
}
