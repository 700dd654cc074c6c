package test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
)

// content is n bytes that no compression shortens, the same for the same seed.
func content(seed uint64, n int) []byte {
	b := make([]byte, n)
	if _, err := io.ReadFull(generator(seed), b); err != nil {
		panic(err)
	}
	return b
}

// generator is an endless stream, the same for the same seed.
func generator(seed uint64) io.Reader {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return rand.NewChaCha8(key)
}

// sameBytes says where two contents differ, or nothing.
func sameBytes(got, want []byte) error {
	if bytes.Equal(got, want) {
		return nil
	}
	at := 0
	for at < len(got) && at < len(want) && got[at] == want[at] {
		at++
	}
	return fmt.Errorf("%d bytes, want %d; the first difference is at %d", len(got), len(want), at)
}
