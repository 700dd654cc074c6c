package checksum

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

func TestTheCRCOfAWholeFollowsFromItsPieces(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for a := range polynomials {
		sum := func(b []byte) uint64 {
			h := algorithms[a]()
			h.Write(b)
			return binary.BigEndian.Uint64(append(make([]byte, 8-a.Size()), h.Sum(nil)...))
		}
		for range 200 {
			whole := make([]byte, random.IntN(5000))
			for i := range whole {
				whole[i] = byte(random.Uint32())
			}
			cut := random.IntN(len(whole) + 1)
			first, second := whole[:cut], whole[cut:]
			if got := combineCRC(a, sum(first), sum(second), int64(len(second))); got != sum(whole) {
				t.Fatalf("%s of %d+%d bytes: %x, want %x", a, len(first), len(second), got, sum(whole))
			}
		}
	}
}
