package localfile

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/crypto/argon2"
)

// The variables for the passphrase: itself, or the name of a file that holds it.
const (
	EnvPassphrase     = "S3PROXY_KEYFILE_PASSPHRASE"
	EnvPassphraseFile = "S3PROXY_KEYFILE_PASSPHRASE_FILE"
)

// maxPassphrase bounds the size of a passphrase file, in bytes.
const maxPassphrase = 4096

// PassphraseFromEnvironment gives the passphrase in [EnvPassphrase] or in the file that
// [EnvPassphraseFile] names, or nil if neither is set. It is an error to set both.
func PassphraseFromEnvironment() ([]byte, error) {
	text, set := os.LookupEnv(EnvPassphrase)
	path, named := os.LookupEnv(EnvPassphraseFile)
	switch {
	case set && named:
		return nil, fmt.Errorf("%s and %s are both set: unset one", EnvPassphrase, EnvPassphraseFile)
	case set && text == "":
		return nil, fmt.Errorf("%s is set but empty: unset it, or set a passphrase", EnvPassphrase)
	case set:
		return []byte(text), nil
	case named:
		return ReadPassphrase(path)
	}
	return nil, nil
}

// ReadPassphrase reads a passphrase of 1 to 4096 bytes from a file. A line end at the end of the
// file is not part of it.
func ReadPassphrase(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("passphrase file: %w", err)
	}
	defer f.Close()
	buffer := make([]byte, maxPassphrase+1)
	n, err := io.ReadFull(f, buffer)
	if err == nil {
		clear(buffer)
		return nil, fmt.Errorf("passphrase file %s is longer than %d bytes", path, maxPassphrase)
	}
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		clear(buffer)
		return nil, fmt.Errorf("passphrase file %s: %w", path, err)
	}
	passphrase := bytes.TrimSuffix(bytes.TrimSuffix(buffer[:n], []byte("\n")), []byte("\r"))
	if len(passphrase) == 0 {
		return nil, fmt.Errorf("passphrase file %s is empty", path)
	}
	return passphrase, nil
}

func (o options) readPassphrase() ([]byte, error) {
	if o.passphrase == nil {
		return nil, nil
	}
	passphrase, err := o.passphrase()
	if err != nil {
		// Not wrapped: a missing passphrase must not look like a missing keyset.
		return nil, fmt.Errorf("the keyset's passphrase: %v", err)
	}
	return passphrase, nil
}

// Encrypted tells whether the keyset at path is encrypted under a passphrase.
func Encrypted(path string) (bool, error) {
	content, _, err := readPrivate(path)
	if err != nil {
		return false, err
	}
	defer clear(content)
	return isSealed(content), nil
}

// header is how an encrypted keyset file begins, and the associated data of what it seals: one
// line of JSON without white space, with the fields in this order.
type header struct {
	Format  int    `json:"s3proxyKeyset"` // 1
	KDF     string `json:"kdf"`           // "argon2id"
	Time    uint32 `json:"time"`          // passes
	Memory  uint32 `json:"memoryKiB"`
	Threads uint8  `json:"threads"`
	Salt    []byte `json:"salt"` // 16 bytes
}

// sealed is an encrypted keyset file: Tink's JSON, sealed by AES-256-GCM under the key that
// Argon2id derives from the passphrase.
type sealed struct {
	header
	Sealed []byte `json:"sealed"` // IV (12) || ciphertext || tag (16)
}

const (
	sealedFormat = 1
	sealedKDF    = "argon2id"
	saltSize     = 16
)

// sealedStart is how every encrypted file begins, whatever its format.
var sealedStart = []byte(`{"s3proxyKeyset":`)

func isSealed(content []byte) bool { return bytes.HasPrefix(content, sealedStart) }

// newHeader uses the parameters of RFC 9106, section 4, second recommended option.
func newHeader() header {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails
	return header{Format: sealedFormat, KDF: sealedKDF, Time: 3, Memory: 64 << 10, Threads: 4, Salt: salt}
}

// check bounds the work that a file may demand of its reader: at most the 2 GiB of RFC 9106's
// first option, and twice its work.
func (h header) check() error {
	const most = 2 << 20 // KiB
	switch {
	case h.KDF != sealedKDF:
		return fmt.Errorf("is encrypted with the unknown function %.20q: this s3proxy knows %s", h.KDF, sealedKDF)
	case h.Time < 1 || h.Threads < 1 || h.Threads > 16 || h.Memory < 8*uint32(h.Threads) || h.Memory > most || uint64(h.Time)*uint64(h.Memory) > 2*most:
		return fmt.Errorf("demands %d passes over %d KiB by %d threads of Argon2id, which is out of bounds: it was changed", h.Time, h.Memory, h.Threads)
	case len(h.Salt) != saltSize:
		return fmt.Errorf("has a salt of %d bytes, not %d: it was changed", len(h.Salt), saltSize)
	}
	return nil
}

// aead makes the cipher of the file. It takes about 0.1 s and h.Memory.
func (h header) aead(passphrase []byte) (cipher.AEAD, error) {
	key := argon2.IDKey(passphrase, h.Salt, h.Time, h.Memory, h.Threads, 32)
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// seal gives the content of an encrypted keyset file.
func seal(plaintext, passphrase []byte) ([]byte, error) {
	h := newHeader()
	associated, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	aead, err := h.aead(passphrase)
	if err != nil {
		return nil, err
	}
	return json.Marshal(sealed{h, aead.Seal(nil, nil, plaintext, associated)})
}

// unseal opens what seal made. Its errors continue a sentence that begins with the file's name.
func unseal(content, passphrase []byte) ([]byte, error) {
	var s sealed
	if err := json.Unmarshal(content, &s); err != nil {
		return nil, errors.New("is not a complete encrypted keyset: restore it from a backup")
	}
	if s.Format != sealedFormat {
		return nil, fmt.Errorf("has the unknown format %d: this s3proxy reads format %d; a newer one may have written it", s.Format, sealedFormat)
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	associated, err := json.Marshal(s.header)
	if err != nil {
		return nil, err
	}
	// There is only one encoding: refuse unknown, repeated and differently spelled fields.
	if again, err := json.Marshal(s); err != nil || !bytes.Equal(again, content) {
		return nil, errors.New("is not in the one encoding of an encrypted keyset: restore it from a backup")
	}
	aead, err := s.aead(passphrase)
	if err != nil {
		return nil, err
	}
	plaintext, err := aead.Open(nil, nil, s.Sealed, associated)
	if err != nil {
		return nil, fmt.Errorf("does not open: the passphrase of %s or %s is wrong, or the file was changed", EnvPassphrase, EnvPassphraseFile)
	}
	return plaintext, nil
}
