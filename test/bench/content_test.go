package bench

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
)

const (
	kib   = 1 << 10
	mib   = 1 << 20
	chunk = 64 * kib // of aws-chunked bodies, as SDKs send them
)

// random is what all objects are made of: 104 MiB that do not compress.
var random = sync.OnceValue(func() []byte {
	b := make([]byte, 104*mib)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
})

// chunkHashes are the SHA-256 of random's chunks, which the client need not pay for each time.
var chunkHashes = sync.OnceValue(func() []string {
	var all []string
	for data := random(); len(data) > 0; data = data[chunk:] {
		sum := sha256.Sum256(data[:chunk])
		all = append(all, hex.EncodeToString(sum[:]))
	}
	return all
})

// content is what an object consists of: pieces of random, which begin at multiples of a chunk.
type content struct {
	size, piece int64 // each piece begins a MiB further than the one before
}

// whole is content of one piece.
func whole(size int64) content { return content{size, size} }

// at gives the bytes from an offset on, as far as they are in one piece.
func (c content) at(off int64) []byte {
	number, inside := off/c.piece, off%c.piece
	return random()[number*mib+inside : number*mib+min(c.piece, c.size-number*c.piece)]
}

// compare reads all of r, and compares it with n bytes from an offset on.
func (c content) compare(r io.Reader, off, n int64) error {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	end := off + n
	for {
		got, err := r.Read(*buffer)
		for rest := (*buffer)[:got]; len(rest) > 0; {
			if off >= end {
				return fmt.Errorf("more than %d bytes", n)
			}
			want := c.at(off)
			same := min(len(rest), len(want), int(end-off))
			if !bytes.Equal(rest[:same], want[:same]) {
				return fmt.Errorf("other bytes than were written, after %d of them", off)
			}
			rest, off = rest[same:], off+int64(same)
		}
		if err == io.EOF && off == end {
			return nil
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return fmt.Errorf("%d bytes are missing: %w", end-off, err)
		}
	}
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 128*kib); return &b }}
