package envelope

import (
	"errors"
	"fmt"
)

// Algorithm is a checksum that S3 knows, of plaintext.
type Algorithm uint8

// The algorithms of format 1: all that S3 has.
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

// maxChecksum is the longest value, which table and summary have room for.
const maxChecksum = 64

// Size is the length of a value in bytes; 0 for none and for an unknown one.
func (a Algorithm) Size() int {
	if int(a) < len(algorithms) {
		return algorithms[a].size
	}
	return 0
}

// String is the name that S3 has for it, "" for none.
func (a Algorithm) String() string {
	if int(a) < len(algorithms) {
		return algorithms[a].name
	}
	return fmt.Sprintf("algorithm %d", uint8(a))
}

// ChecksumType says what a checksum of a multipart object was taken over.
type ChecksumType uint8

// The types of format 1. A composite value is the checksum of the parts'
// checksums; the "-N" that S3 shows behind it comes from the number of parts.
const (
	NoType     ChecksumType = 0
	FullObject ChecksumType = 1
	Composite  ChecksumType = 2
)

// Checksum is one value with what it is. The zero value is none.
type Checksum struct {
	Algorithm Algorithm
	Type      ChecksumType
	Value     []byte // Algorithm.Size() bytes
}

// checkValue looks at algorithm and value alone, as a part has them.
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

// Facts are what is known of a whole object's plaintext, beside its size. They stand,
// sealed, in the metadata as far as they were known before the body, and in the trailer's
// summary as far as they were known after it. Sealed, because a bare MD5 or CRC
// gives a small content away to whoever can guess it.
type Facts struct {
	MD5      []byte // 16 bytes, or nil where it is not known
	Checksum Checksum
}

func checkMD5(md5 []byte) error {
	if len(md5) != 0 && len(md5) != md5Size {
		return fmt.Errorf("an MD5 of %d bytes", len(md5))
	}
	return nil
}

func (f Facts) check() error { return errors.Join(checkMD5(f.MD5), f.Checksum.check()) }

// SealFacts seals f for the metadata of an object of kind k, with its size in plaintext
// bytes. That of a multipart object is not known before its end, and size is ignored.
// Malformed facts, and a size that the kind cannot have, are ErrMetadata. The result has 31
// to 120 bytes; where long facts would bring the metadata over MaxMetadata (a SHA512 beside
// an AWS KMS key), seal Facts{} for it: the summary has them in any case.
func (d *DEK) SealFacts(k Kind, size int64, f Facts) ([]byte, error) {
	plaintext, err := encodeFacts(k, size, f)
	if err != nil {
		return nil, err
	}
	return d.seal(nil, plaintext, sealedAAD(k, tagFacts))
}

// OpenFacts opens what SealFacts made: ErrTampered when it does not
// authenticate, ErrMetadata when its content is malformed. stored is how many bytes the
// store says that it has of the object: where they are not those of the sealed size, the
// object was cut, extended or exchanged, which is ErrTrailer. Of a multipart object the
// trailer tells.
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

// storedSizeOf is how many bytes the store has of an object of one PUT.
func storedSizeOf(k Kind, size int64) int64 {
	if k == KindEmpty {
		return 0
	}
	return StoredSize(size)
}

// checkFactsSize tells whether an object of a kind that knows its size before its body can
// have this one.
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
