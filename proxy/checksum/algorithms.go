package checksum

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"net/http"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/minio/crc64nvme"
	"github.com/zeebo/xxh3"

	"github.com/s3proxy/s3proxy/envelope"
)

const HeaderPrefix = "X-Amz-Checksum-"

// algorithms are all that S3 has: "Checking object integrity in Amazon S3",
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
var algorithms = map[envelope.Algorithm]func() hash.Hash{
	envelope.CRC32:     func() hash.Hash { return crc32.NewIEEE() },
	envelope.CRC32C:    func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	envelope.CRC64NVME: func() hash.Hash { return crc64nvme.New() },
	envelope.SHA1:      sha1.New,
	envelope.SHA256:    sha256.New,
	envelope.SHA512:    sha512.New,
	envelope.MD5:       md5.New,
	envelope.XXHASH64:  func() hash.Hash { return xxhash.New() },
	envelope.XXHASH3:   func() hash.Hash { return xxh3.New() },
	envelope.XXHASH128: func() hash.Hash { return xxh128{xxh3.New()} },
}

// xxh128 gives the 128-bit digest of the same hasher.
type xxh128 struct{ *xxh3.Hasher }

func (h xxh128) Size() int { return 16 }
func (h xxh128) Sum(b []byte) []byte {
	sum := h.Sum128().Bytes()
	return append(b, sum[:]...)
}

// Named finds an algorithm by its S3 name in any case; NoChecksum if there is none.
func Named(name string) envelope.Algorithm {
	for a := range algorithms {
		if strings.EqualFold(a.String(), name) {
			return a
		}
	}
	return envelope.NoChecksum
}

// New is a fresh hash of an algorithm that algorithms has.
func New(a envelope.Algorithm) hash.Hash { return algorithms[a]() }

// Header is the header that carries a checksum of the algorithm, in canonical form.
func Header(a envelope.Algorithm) string {
	return http.CanonicalHeaderKey(HeaderPrefix + a.String())
}

// text is a checksum as S3 writes it; parts is the number behind a
// composite one.
func text(c envelope.Checksum, parts int) string {
	value := base64.StdEncoding.EncodeToString(c.Value)
	if c.Type == envelope.Composite {
		value += "-" + strconv.Itoa(parts)
	}
	return value
}

// TypeName is how S3 writes a checksum type.
func TypeName(t envelope.ChecksumType) string {
	switch t {
	case envelope.FullObject:
		return "FULL_OBJECT"
	case envelope.Composite:
		return "COMPOSITE"
	}
	return ""
}

func AlgorithmName(a envelope.Algorithm) string {
	if a == envelope.NoChecksum {
		return ""
	}
	return a.String()
}
