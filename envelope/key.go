package envelope

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/secretdata"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// commitLabel is the only HKDF label of format 1.
const commitLabel = "s3proxy commit v1"

// DEK is the data key of one object. It is safe for concurrent use until [DEK.Destroy].
type DEK struct {
	raw  [KeySize]byte
	aead cipher.AEAD // nil after Destroy
	// floor is the salt of the commitment, nil if the bucket has no floor. It is shared and never
	// written to.
	floor []byte
	// random fills IVs. It is crypto/rand, except in tests that reproduce the vectors.
	random func([]byte)
}

// Format keeps the key out of logs, whatever the formatting verb.
func (d *DEK) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte("envelope.DEK")) }

// NewDEK makes a fresh key as Tink does for its AES256GCMNoPrefixKeyTemplate: it is 32 random bytes.
// A keyset around them would cost more than to seal a small object with the key.
func NewDEK() (*DEK, error) {
	key, err := secretdata.NewBytesFromRand(KeySize)
	if err != nil {
		return nil, fmt.Errorf("envelope: making a data key: %w", err)
	}
	// Nothing else in the project uses the token. Tink's Encrypt allocates its result and copies;
	// sealing in place with the raw key gives the same bytes several times faster.
	return DEKFromBytes(key.Data(insecuresecretdataaccess.Token{}))
}

// DEKFromBytes makes a DEK from a copy of 32 raw bytes. Any other length is ErrKey.
func DEKFromBytes(raw []byte) (*DEK, error) {
	if len(raw) != KeySize {
		return nil, fmt.Errorf("%w: it has %d bytes, not %d", ErrKey, len(raw), KeySize)
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, fmt.Errorf("envelope: AES: %w", err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("envelope: GCM: %w", err)
	}
	d := &DEK{aead: gcm, random: fillRandom}
	copy(d.raw[:], raw)
	return d, nil
}

// fillRandom cannot fail: crypto/rand ends the program if the system has no randomness
// (documented since Go 1.24).
func fillRandom(b []byte) { _, _ = rand.Read(b) }

// Wrap seals the raw key under w with aad. Under a raw AES-GCM key the result has 60 bytes.
// docs/FORMAT.md defines the associated data of a DEK.
func (d *DEK) Wrap(w tink.AEAD, aad []byte) ([]byte, error) {
	if d.aead == nil {
		return nil, fmt.Errorf("%w: it was destroyed", ErrKey)
	}
	blob, err := w.Encrypt(d.raw[:], aad)
	if err != nil {
		return nil, fmt.Errorf("envelope: wrapping a data key: %w", err)
	}
	return blob, nil
}

// UnwrapDEK opens the result of [DEK.Wrap], given the same w and aad. It returns ErrKey if w
// refuses. The caller must still check the commitment.
func UnwrapDEK(w tink.AEAD, blob, aad []byte) (*DEK, error) {
	raw, err := w.Decrypt(blob, aad)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	defer clear(raw)
	return DEKFromBytes(raw)
}

// WithBytes lends the raw key to f, for a KMS that wraps the DEK itself (window 0). The slice is a
// copy that is cleared when f returns; f must not keep it.
func (d *DEK) WithBytes(f func(raw []byte) error) error {
	if d.aead == nil {
		return fmt.Errorf("%w: it was destroyed", ErrKey)
	}
	raw := d.raw
	defer clear(raw[:])
	return f(raw[:])
}

// FloorSize is the length of a floor's secret in bytes.
const FloorSize = 32

// Under binds the key's commitment to a floor of its bucket. floor is the floor's secret of
// FloorSize bytes, or nil for none. The slice is kept and must not be changed.
func (d *DEK) Under(floor []byte) { d.floor = floor }

// IsUnder reports whether the key's commitment uses this floor's secret; nil means no floor.
func (d *DEK) IsUnder(floor []byte) bool { return subtle.ConstantTimeCompare(d.floor, floor) == 1 }

// Commitment is HKDF-SHA256 (RFC 5869) of the key, with the floor's secret as the salt and the
// info "s3proxy commit v1". It is needed because AES-GCM is not key-committing: an attacker can
// craft a ciphertext that opens under two keys. If there is a floor, nobody without its secret can
// compute a commitment to any key.
func (d *DEK) Commitment() [32]byte {
	out, err := hkdf.Key(sha256.New, d.raw[:], d.floor, commitLabel, 32)
	if err != nil { // only for lengths that SHA-256 cannot give, or in FIPS-only mode for short keys
		panic("envelope: internal error: HKDF: " + err.Error())
	}
	return [32]byte(out)
}

// CheckCommitment compares in constant time and returns ErrCommitment on a mismatch. Call it
// before opening anything with the key.
func (d *DEK) CheckCommitment(c [32]byte) error {
	own := d.Commitment()
	if subtle.ConstantTimeCompare(own[:], c[:]) != 1 {
		return ErrCommitment
	}
	return nil
}

// Destroy zeroises the raw key and drops the cipher, whose expanded key only the garbage collector
// can free. Neither the DEK nor a reader made from it may be in use.
func (d *DEK) Destroy() {
	clear(d.raw[:])
	d.aead = nil
}

// seal appends IV || ciphertext || tag to dst.
func (d *DEK) seal(dst, plaintext, aad []byte) ([]byte, error) {
	gcm := d.aead
	if gcm == nil {
		return nil, fmt.Errorf("%w: it was destroyed", ErrKey)
	}
	var iv [ivSize]byte
	d.random(iv[:])
	dst = append(dst, iv[:]...)
	return gcm.Seal(dst, iv[:], plaintext, aad), nil
}

// open decrypts IV || ciphertext || tag into new memory.
func (d *DEK) open(sealed, aad []byte) ([]byte, error) {
	if d.aead == nil {
		return nil, fmt.Errorf("%w: it was destroyed", ErrKey)
	}
	if len(sealed) < SegmentOverhead {
		return nil, ErrTampered
	}
	plaintext, err := d.aead.Open(nil, sealed[:ivSize], sealed[ivSize:], aad)
	if err != nil {
		return nil, ErrTampered
	}
	return plaintext, nil
}
