package envelope

import (
	"errors"
	"fmt"
)

// Algorithm is one of S3's checksum algorithms. Checksums here are always of plaintext.
type Algorithm uint8

// The algorithms of format 1: every algorithm S3 has.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
const (
	NoChecksum Algorithm = 0
	CRC32      Algorithm = 1
	CRC32C     Algorithm = 2
	CRC64NVME  Algorithm = 3
	SHA1       Algorithm = 4
	SHA256     Algorithm = 5
	SHA512     Algorithm = 6
	MD5        Algorithm = 7
	XXHASH64   Algorithm = 8
	XXHASH3    Algorithm = 9
	XXHASH128  Algorithm = 10
)

var algorithms = [...]struct {
	name string
	size int
}{{"", 0}, {"CRC32", 4}, {"CRC32C", 4}, {"CRC64NVME", 8}, {"SHA1", 20}, {"SHA256", 32},
	{"SHA512", 64}, {"MD5", 16}, {"XXHASH64", 8}, {"XXHASH3", 8}, {"XXHASH128", 16}}

// maxChecksum is the length of the longest value; table and summary reserve this much.
const maxChecksum = 64

// Size is the length of a checksum value in bytes; 0 for NoChecksum and unknown algorithms.
func (a Algorithm) Size() int {
	if int(a) < len(algorithms) {
		return algorithms[a].size
	}
	return 0
}

// String is S3's name for the algorithm; "" for NoChecksum.
func (a Algorithm) String() string {
	if int(a) < len(algorithms) {
		return algorithms[a].name
	}
	return fmt.Sprintf("algorithm %d", uint8(a))
}

// ChecksumType says what the checksum of a multipart object covers.
type ChecksumType uint8

// The types of format 1. A composite value is the checksum of the parts' checksums; the "-N" that
// S3 appends to it is derived from the number of parts.
const (
	NoType     ChecksumType = 0
	FullObject ChecksumType = 1
	Composite  ChecksumType = 2
)

// Checksum is a value with its algorithm and type. The zero value means "no checksum".
type Checksum struct {
	Algorithm Algorithm
	Type      ChecksumType
	Value     []byte // Algorithm.Size() bytes
}

// checkValue checks algorithm and value only: the checksum of a part has no type.
func (c Checksum) checkValue() error {
	if int(c.Algorithm) >= len(algorithms) {
		return fmt.Errorf("unknown checksum algorithm %d", uint8(c.Algorithm))
	}
	if len(c.Value) != c.Algorithm.Size() {
		return fmt.Errorf("checksum of %d bytes for algorithm %d", len(c.Value), uint8(c.Algorithm))
	}
	return nil
}

func (c Checksum) check() error {
	if err := c.checkValue(); err != nil {
		return err
	}
	if c.Type > Composite || (c.Type == NoType) != (c.Algorithm == NoChecksum) {
		return fmt.Errorf("checksum type %d for algorithm %d", uint8(c.Type), uint8(c.Algorithm))
	}
	return nil
}

// Facts describe the plaintext of a whole object, besides its size. The metadata holds those known
// before the body was read, the trailer's summary those known after it. Both are sealed, because a
// bare MD5 or CRC of a small object reveals its content to anyone who can guess it.
type Facts struct {
	MD5      []byte // 16 bytes, or nil if unknown
	Checksum Checksum
}

func checkMD5(md5 []byte) error {
	if len(md5) != 0 && len(md5) != md5Size {
		return fmt.Errorf("an MD5 of %d bytes", len(md5))
	}
	return nil
}

func (f Facts) check() error { return errors.Join(checkMD5(f.MD5), f.Checksum.check()) }

// SealFacts seals f for the metadata of an object of kind k, with its size in plaintext bytes. For
// a multipart object, whose size is not known until its end, size is ignored. Malformed facts, or a
// size the kind cannot have, give ErrMetadata. The result has 31 to 120 bytes. If long facts would
// push the metadata over MaxMetadata (a SHA512 beside an AWS KMS key), seal Facts{} instead: the
// summary has the facts in any case.
func (d *DEK) SealFacts(k Kind, size int64, f Facts) ([]byte, error) {
	plaintext, err := encodeFacts(k, size, f)
	if err != nil {
		return nil, err
	}
	return d.seal(nil, plaintext, sealedAAD(k, tagFacts))
}

// OpenFacts opens the result of SealFacts. It returns ErrTampered if the facts do not
// authenticate, ErrMetadata if their content is malformed. stored is the object's length according
// to the store: if it does not match the sealed size, the object was cut, extended or exchanged,
// and the error is ErrTrailer. For a multipart object stored is not checked; its trailer has the
// size.
func (d *DEK) OpenFacts(k Kind, stored int64, sealed []byte) (Facts, error) {
	plaintext, err := d.open(sealed, sealedAAD(k, tagFacts))
	if err != nil {
		return Facts{}, fmt.Errorf("sealed facts: %w", err)
	}
	size, f, err := parseFacts(k, plaintext)
	if err != nil || k == KindMultipart {
		return f, err
	}
	if want := storedSizeOf(k, size); stored != want {
		return Facts{}, fmt.Errorf("%w: %d stored bytes, and the %d of plaintext that were written have %d", ErrTrailer, stored, size, want)
	}
	return f, nil
}

// storedSizeOf is the stored length, in bytes, of an object written with one PUT.
func storedSizeOf(k Kind, size int64) int64 {
	if k == KindEmpty {
		return 0
	}
	return StoredSize(size)
}

// checkFactsSize checks that an object of kind k, a kind whose size is known before its body, can
// have this size.
func checkFactsSize(k Kind, size int64) error {
	if size < 0 || size > MaxObjectSize || k == KindEmpty && size != 0 {
		return fmt.Errorf("a size of %d bytes for kind %s", size, k)
	}
	return nil
}

func encodeFacts(k Kind, size int64, f Facts) ([]byte, error) {
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("%w: facts: %w", ErrMetadata, err)
	}
	w := writer{}
	if k == KindMultipart {
		w.u8(0)
	} else {
		if err := checkFactsSize(k, size); err != nil {
			return nil, fmt.Errorf("%w: facts: %w", ErrMetadata, err)
		}
		w.u8(1)
		w.u64(uint64(size))
	}
	w.shortMD5(f.MD5)
	w.u8(uint8(f.Checksum.Algorithm))
	if f.Checksum.Algorithm != NoChecksum {
		w.u8(uint8(f.Checksum.Type))
		w.bytes(f.Checksum.Value)
	}
	return w.b, nil
}

func parseFacts(k Kind, plaintext []byte) (size int64, f Facts, err error) {
	r := reader{b: plaintext}
	sized := r.flag()
	if sized {
		size = int64(r.u64())
	}
	f.MD5 = r.shortMD5()
	f.Checksum.Algorithm = Algorithm(r.u8())
	if f.Checksum.Algorithm != NoChecksum {
		f.Checksum.Type = ChecksumType(r.u8())
		f.Checksum.Value = r.take(f.Checksum.Algorithm.Size())
	}
	err = errors.Join(r.end(), f.check())
	if err == nil && sized == (k == KindMultipart) {
		err = fmt.Errorf("the size is there: %v, for kind %s", sized, k)
	}
	if err == nil && sized {
		err = checkFactsSize(k, size)
	}
	if err != nil {
		return 0, Facts{}, fmt.Errorf("%w: facts: %w", ErrMetadata, err)
	}
	return size, f, nil
}
