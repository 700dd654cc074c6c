package legacy

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"errors"
)

// Keys are what one EncryptionKey of the old program may mean.
type Keys struct{ blocks []cipher.Block }

// errKey does not show what was given.
var errKey = errors.New("the key is neither 16, 24 or 32 characters, nor the hex of as many bytes")

// ParseKey reads an EncryptionKey. abustany's program took its characters for the key, 16, 24 or 32 of
// them; alsarins' has taken them for hex since March 2025 (commit 79ee678). 32 hex digits can be
// either, and so are both: the header of an object tells which one wrote it.
func ParseKey(text string) (*Keys, error) {
	k := &Keys{}
	raw, err := hex.DecodeString(text)
	if err != nil {
		raw = nil
	}
	for _, key := range [][]byte{raw, []byte(text)} {
		if block, err := aes.NewCipher(key); err == nil {
			k.blocks = append(k.blocks, block)
		}
	}
	if k.blocks == nil {
		return nil, errKey
	}
	return k, nil
}

// decrypter undoes AES-CFB128. The mode has no authentication, which is why crypto/cipher calls it
// deprecated; the old objects are in it all the same.
func decrypter(block cipher.Block, iv []byte) cipher.Stream {
	//lint:ignore SA1019 see above
	return cipher.NewCFBDecrypter(block, iv)
}
