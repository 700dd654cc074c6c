package checksum

import (
	"encoding/binary"

	"github.com/s3proxy/s3proxy/envelope"
)

// The reflected polynomials of the checksums that combine: the checksum of a
// whole follows from those of its pieces and their lengths.
var polynomials = map[envelope.Algorithm]uint64{
	envelope.CRC32:     0xedb88320,         // IEEE 802.3
	envelope.CRC32C:    0x82f63b78,         // RFC 3720
	envelope.CRC64NVME: 0x9a6c9329ac4bc9b5, // NVM Express NVM Command Set 1.0, 5.2.1.3.4
}

// combines tells whether S3 has a full-object checksum of that algorithm for a
// multipart object: one that follows from the parts'.
func combines(a envelope.Algorithm) bool { return polynomials[a] != 0 }

// combineCRC gives the CRC of a piece with CRC first followed by one of n bytes
// with CRC second, as zlib's crc32_combine does: first, multiplied by x^(8n)
// modulo the polynomial, plus second. All values are reflected; initial value and
// final complement, which all three have, cancel out.
func combineCRC(a envelope.Algorithm, first, second uint64, n int64) uint64 {
	poly, top := polynomials[a], uint64(1)<<(8*a.Size()-1)
	multiply := func(p, q uint64) uint64 {
		var sum uint64
		for m := top; ; m >>= 1 {
			if p&m != 0 {
				sum ^= q
				if p&(m-1) == 0 {
					return sum
				}
			}
			if q&1 != 0 {
				q = q>>1 ^ poly
			} else {
				q >>= 1
			}
			if m == 1 {
				return sum
			}
		}
	}
	shift, square := top, top>>8 // 1 and x^8; the highest bit stands for x^0
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			shift = multiply(shift, square)
		}
		square = multiply(square, square)
	}
	return multiply(shift, first) ^ second
}

// OfParts is the checksum of an object from those of its parts, none where a
// part has another algorithm.
func OfParts(o envelope.Upload, parts []envelope.Part) envelope.Checksum {
	c := envelope.Checksum{Algorithm: o.Checksum, Type: o.Type}
	if o.Checksum == envelope.NoChecksum {
		c = envelope.Checksum{Algorithm: envelope.CRC64NVME, Type: envelope.FullObject}
	}
	composite := algorithms[c.Algorithm]()
	var crc uint64
	for i, p := range parts {
		if p.Checksum.Algorithm != c.Algorithm {
			return envelope.Checksum{}
		}
		composite.Write(p.Checksum.Value)
		if c.Type == envelope.FullObject {
			value := binary.BigEndian.Uint64(append(make([]byte, 8-len(p.Checksum.Value)), p.Checksum.Value...))
			if i == 0 {
				crc = value
			} else {
				crc = combineCRC(c.Algorithm, crc, value, p.Size)
			}
		}
	}
	c.Value = composite.Sum(nil)
	if c.Type == envelope.FullObject {
		c.Value = binary.BigEndian.AppendUint64(nil, crc)[8-c.Algorithm.Size():]
	}
	return c
}
