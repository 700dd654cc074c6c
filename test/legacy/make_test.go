package legacy

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/s3proxy/s3proxy/test/s3test"
)

// plaintext is that of the objects in testdata (make.py).
func plaintext(n int) (all []byte) {
	for i := 0; len(all) < n; i++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "legacy %d", i))
		all = append(all, sum[:]...)
	}
	return all[:n]
}

// testKey is that of the objects that makeOld makes.
const testKey = "c8a738b7c5fa4283c0a7fda4073c1425a1681b5725781d840aaf48cc189509df"

// makeOld makes an object of the older program, under testKey.
func makeOld(t testing.TB, plain []byte) s3test.Stored {
	t.Helper()
	return s3test.Stored{Body: cfb(t, plain), Meta: map[string]string{oldHeader: makeHeader(t, len(plain), s3test.MD5ETag(plain))}}
}

func makeHeader(t testing.TB, size int, etag string) string {
	t.Helper()
	return hex.EncodeToString(cfb(t, append(binary.AppendUvarint([]byte{0}, uint64(size)), etag...)))
}

func cfb(t testing.TB, plain []byte) []byte {
	t.Helper()
	key, err := hex.DecodeString(testKey)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, aes.BlockSize+len(plain))
	rand.Read(out[:aes.BlockSize])
	//lint:ignore SA1019 the older program used it
	cipher.NewCFBEncrypter(block, out[:aes.BlockSize]).XORKeyStream(out[aes.BlockSize:], plain)
	return out
}
