package checksum

import (
	"encoding/base64"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// Element is the element of an algorithm; nil for NoChecksum.
func Element(x *s3xml.Checksums, a envelope.Algorithm) *string {
	switch a {
	case envelope.CRC32:
		return &x.ChecksumCRC32
	case envelope.CRC32C:
		return &x.ChecksumCRC32C
	case envelope.CRC64NVME:
		return &x.ChecksumCRC64NVME
	case envelope.SHA1:
		return &x.ChecksumSHA1
	case envelope.SHA256:
		return &x.ChecksumSHA256
	case envelope.SHA512:
		return &x.ChecksumSHA512
	case envelope.MD5:
		return &x.ChecksumMD5
	case envelope.XXHASH64:
		return &x.ChecksumXXHASH64
	case envelope.XXHASH3:
		return &x.ChecksumXXHASH3
	case envelope.XXHASH128:
		return &x.ChecksumXXHASH128
	}
	return nil
}

// SetElement writes a checksum into its element; parts is the number behind a composite one.
func SetElement(x *s3xml.Checksums, c envelope.Checksum, parts int) {
	if field := Element(x, c.Algorithm); field != nil {
		*field = text(c, parts)
	}
}

// Given are the algorithms that have a value.
func Given(x *s3xml.Checksums) (all []envelope.Algorithm) {
	for a := range algorithms {
		if *Element(x, a) != "" {
			all = append(all, a)
		}
	}
	return all
}

// Value decodes the element of an algorithm; nil when it is no value of it.
func Value(x *s3xml.Checksums, a envelope.Algorithm) []byte {
	v, err := base64.StdEncoding.DecodeString(*Element(x, a))
	if err != nil || len(v) != a.Size() {
		return nil
	}
	return v
}
