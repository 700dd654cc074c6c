package checksum

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/s3proxy/s3proxy/envelope"
)

func TestTheMD5OfALargeBodyIsItsMD5(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	random := rand.NewChaCha8([32]byte{1})
	for _, size := range []int{besideFrom - 1, besideFrom, besideFrom + 1, besideFrom + besideBlock, 3*besideFrom + 7} {
		body := make([]byte, size)
		random.Read(body)
		for name, src := range map[string]io.Reader{
			"at once": bytes.NewReader(body), "in pieces": iotest.HalfReader(bytes.NewReader(body)), "with its end": iotest.DataErrReader(bytes.NewReader(body)),
		} {
			r := NewReader(src, nil, &Declared{Algorithm: envelope.CRC32C, WantsMD5: true})
			piece := make([]byte, 100_001)
			for {
				if _, err := r.Read(piece); err == io.EOF {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				clear(piece) // the caller's again
			}
			if want := md5.Sum(body); !bytes.Equal(r.Facts().MD5, want[:]) {
				t.Errorf("%d bytes, %s: %x, not %x", size, name, r.Facts().MD5, want)
			}
		}
	}
}

// A client may go away, or send what is not its body: synctest fails if a goroutine is left.
func TestNothingIsLeftOfABodyThatDoesNotEnd(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	gone := errors.New("the client is gone")
	synctest.Test(t, func(t *testing.T) {
		body := make([]byte, 2*besideFrom)
		r := NewReader(io.MultiReader(bytes.NewReader(body), iotest.ErrReader(gone)), nil, &Declared{Algorithm: envelope.CRC32C, WantsMD5: true})
		if _, err := io.Copy(io.Discard, r); !errors.Is(err, gone) {
			t.Error(err)
		}
		if _, begun := r.md5.(*beside); !begun {
			t.Error("the hash is not computed beside the body")
		}
	})
}

func TestBlocksAreClearedBeforeAnotherBodyHasThem(t *testing.T) {
	h := newBeside(md5.New())
	h.Write(bytes.Repeat([]byte("x"), 10*besideBlock))
	blocks := []*[besideBlock]byte{}
	<-h.last
	for range h.taken {
		blocks = append(blocks, <-h.free)
	}
	for _, b := range blocks {
		if *b != ([besideBlock]byte{}) {
			t.Error("a block still holds plaintext")
		}
		h.free <- b
	}
	if len(blocks) != besideBlocks {
		t.Errorf("%d blocks", len(blocks))
	}
	h.Sum(nil)
}

// With -cpu 1 the MD5 is computed with the rest, with -cpu 2 beside it.
func BenchmarkALargeBodyWithMD5(b *testing.B) {
	const size = 64 << 20
	piece := make([]byte, 64<<10)
	b.SetBytes(size)
	for b.Loop() {
		signed := sha256.New() // as of signed chunks
		r := NewReader(io.TeeReader(io.LimitReader(zeros{}, size), signed), nil, &Declared{Algorithm: envelope.CRC64NVME, WantsMD5: true})
		for {
			if _, err := r.Read(piece); err == io.EOF {
				break
			}
		}
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }
