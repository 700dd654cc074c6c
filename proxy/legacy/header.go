package legacy

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"

	"github.com/s3proxy/s3proxy/envelope"
)

// HeaderName is the store's header that marks an object of the old program.
const HeaderName = "X-Amz-Meta-S3proxy"

// Overhead is how much longer than the plaintext a stored object is, in bytes: the IV.
const Overhead = aes.BlockSize

var (
	// ErrNoKey says that an object is the old program's, and that no key for it is configured. It is an
	// ErrNotEncrypted: what only asks whether s3proxy has encrypted an object need not know more.
	ErrNoKey = fmt.Errorf("%w: it was encrypted by the older s3proxy, and the bucket has no legacy-key", envelope.ErrNotEncrypted)
	// ErrHeader says that the header of an old object does not open, or is of another object.
	ErrHeader = errors.New("the header x-amz-meta-s3proxy does not open under the bucket's legacy-key, or does not fit the object's size")
	// ErrMD5 says that the content of an old object is not that of its MD5.
	ErrMD5 = errors.New("the content of an object of the older s3proxy does not have the MD5 in its header")
)

// maxHeader bounds a header in bytes: IV, version, varint of 10 bytes, MD5 in hex with quotes.
const maxHeader = aes.BlockSize + 1 + binary.MaxVarintLen64 + 2 + 2*md5.Size

// Object is what the header of an object says.
type Object struct {
	Size int64  // of the plaintext, in bytes
	MD5  []byte // of the plaintext; nil where the old program kept none

	block cipher.Block // which opened the header
}

// Marked tells whether an object's headers say that the old program wrote it.
func Marked(h http.Header) bool { return len(h.Values(HeaderName)) > 0 }

// Open reads the header of an object of so many stored bytes.
func (k *Keys) Open(h http.Header, stored int64) (*Object, error) {
	values := h.Values(HeaderName)
	if len(values) != 1 {
		return nil, fmt.Errorf("%w: it is given %d times", ErrHeader, len(values))
	}
	raw, err := hex.DecodeString(values[0])
	if err != nil || len(raw) <= aes.BlockSize || len(raw) > maxHeader {
		return nil, fmt.Errorf("%w: it is not the hex of one", ErrHeader)
	}
	for _, block := range k.blocks {
		plain := make([]byte, len(raw)-aes.BlockSize)
		decrypter(block, raw[:aes.BlockSize]).XORKeyStream(plain, raw[aes.BlockSize:])
		if o, ok := parseHeader(plain); ok && o.Size == stored-Overhead {
			o.block = block
			return o, nil
		}
	}
	return nil, ErrHeader
}

// parseHeader reads version 0 || size || ETag. Its encodings are few, so that another key's, or a
// damaged one, is refused all but certainly.
func parseHeader(plain []byte) (*Object, bool) {
	if plain[0] != 0 {
		return nil, false
	}
	size, n := binary.Uvarint(plain[1:])
	if n <= 0 || size > uint64(envelope.MaxObjectSize) || len(binary.AppendUvarint(nil, size)) != n {
		return nil, false
	}
	etag := plain[1+n:]
	o := &Object{Size: int64(size)}
	if string(etag) == `""` { // of the first program, built by a later Go
		return o, true
	}
	if len(etag) == 2*md5.Size+2 && etag[0] == '"' && etag[len(etag)-1] == '"' {
		etag = etag[1 : len(etag)-1]
	}
	if len(etag) != 2*md5.Size {
		return nil, false
	}
	sum, err := hex.DecodeString(string(etag))
	if err != nil {
		return nil, false
	}
	if nothing := md5.Sum(nil); size == 0 && !bytes.Equal(sum, nothing[:]) {
		return nil, false
	}
	o.MD5 = sum
	return o, true
}
