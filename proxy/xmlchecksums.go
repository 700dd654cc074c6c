package proxy

import (
	"encoding/base64"

	"github.com/s3proxy/s3proxy/envelope"
)

// xmlChecksums are the elements that S3's documents have for the checksum of a
// part or an object.
type xmlChecksums struct {
	ChecksumCRC32     string `xml:"ChecksumCRC32,omitempty"`
	ChecksumCRC32C    string `xml:"ChecksumCRC32C,omitempty"`
	ChecksumCRC64NVME string `xml:"ChecksumCRC64NVME,omitempty"`
	ChecksumSHA1      string `xml:"ChecksumSHA1,omitempty"`
	ChecksumSHA256    string `xml:"ChecksumSHA256,omitempty"`
	ChecksumSHA512    string `xml:"ChecksumSHA512,omitempty"`
	ChecksumMD5       string `xml:"ChecksumMD5,omitempty"`
	ChecksumXXHASH64  string `xml:"ChecksumXXHASH64,omitempty"`
	ChecksumXXHASH3   string `xml:"ChecksumXXHASH3,omitempty"`
	ChecksumXXHASH128 string `xml:"ChecksumXXHASH128,omitempty"`
}

// of is the element of an algorithm; nil for NoChecksum.
func (x *xmlChecksums) of(a envelope.Algorithm) *string {
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

// set writes a checksum into its element; parts is the number behind a composite one.
func (x *xmlChecksums) set(c envelope.Checksum, parts int) {
	if field := x.of(c.Algorithm); field != nil {
		*field = checksumText(c, parts)
	}
}

// given are the algorithms that have a value.
func (x *xmlChecksums) given() (all []envelope.Algorithm) {
	for a := range algorithms {
		if *x.of(a) != "" {
			all = append(all, a)
		}
	}
	return all
}

// value decodes the element of an algorithm; nil when it is no value of it.
func (x *xmlChecksums) value(a envelope.Algorithm) []byte {
	v, err := base64.StdEncoding.DecodeString(*x.of(a))
	if err != nil || len(v) != a.Size() {
		return nil
	}
	return v
}
