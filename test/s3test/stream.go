package s3test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"strings"
)

const (
	SignedStream          = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	SignedStreamTrailer   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	UnsignedStreamTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	CRCTrailer            = "x-amz-checksum-crc32"
)

// Stream is an aws-chunked body. From Chunk on, the zero value of a field means the correct value.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
type Stream struct {
	Shape string
	Body  []byte

	Chunk        int    // bytes in each chunk but the last; 0: 64 KiB; S3's minimum is 8 KiB
	Decoded      int    // x-amz-decoded-content-length; 0: the true one
	Forge        int    // number of the chunk, from 1, to sign wrongly
	NoFinal      bool   // omit the chunk of no bytes
	Cut          int    // bytes to omit at the very end
	Checksum     string // instead of the correct one in the trailer
	NoTrailer    bool   // promise the trailer, but do not send it
	OtherTrailer string // line to send instead of the promised one
	ForgeTrailer bool   // sign the trailer wrongly
}

func (s *Stream) headers() map[string]string {
	h := map[string]string{
		"content-encoding":             "aws-chunked",
		"x-amz-decoded-content-length": fmt.Sprint(len(s.Body)),
	}
	if s.Decoded != 0 {
		h["x-amz-decoded-content-length"] = fmt.Sprint(s.Decoded)
	}
	if s.Shape != SignedStream {
		h["x-amz-trailer"] = CRCTrailer
	}
	return h
}

// chunkSigner chains the signatures of chunks, starting from the request's.
type chunkSigner struct {
	key         []byte
	date, scope string
	previous    string
}

func (c *chunkSigner) next(algorithm string, hashes ...string) string {
	toSign := strings.Join(append([]string{algorithm, c.date, c.scope, c.previous}, hashes...), "\n")
	c.previous = hex.EncodeToString(MAC(c.key, toSign))
	return c.previous
}

func (s *Stream) encode(sign chunkSigner) []byte {
	var b bytes.Buffer
	size := s.Chunk
	if size == 0 {
		size = 64 << 10
	}
	number := 0
	write := func(data []byte) {
		number++
		if s.Shape == UnsignedStreamTrailer {
			fmt.Fprintf(&b, "%x\r\n", len(data))
		} else {
			signature := sign.next(SignatureV4+"-PAYLOAD", EmptySHA256, HexSHA256(data))
			if number == s.Forge {
				signature = otherHex(signature)
			}
			fmt.Fprintf(&b, "%x;chunk-signature=%s\r\n", len(data), signature)
		}
		if len(data) > 0 {
			b.Write(data)
			b.WriteString("\r\n")
		}
	}
	for rest := s.Body; len(rest) > 0; {
		n := min(size, len(rest))
		write(rest[:n])
		rest = rest[n:]
	}
	if !s.NoFinal {
		write(nil)
		s.trailer(&b, &sign)
		b.WriteString("\r\n")
	}
	return b.Bytes()[:b.Len()-s.Cut]
}

func (s *Stream) trailer(b *bytes.Buffer, sign *chunkSigner) {
	if s.Shape == SignedStream || s.NoTrailer {
		return
	}
	line := CRCTrailer + ":" + OrElse(s.Checksum, CRC32Of(s.Body))
	line = OrElse(s.OtherTrailer, line)
	fmt.Fprintf(b, "%s\r\n", line)
	if s.Shape == SignedStreamTrailer {
		signature := sign.next(SignatureV4+"-TRAILER", HexSHA256([]byte(line+"\n")))
		if s.ForgeTrailer {
			signature = otherHex(signature)
		}
		fmt.Fprintf(b, "x-amz-trailer-signature:%s\r\n", signature)
	}
}

// CRC32Of is the x-amz-checksum-crc32 of a body.
func CRC32Of(b []byte) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)))
}

// otherHex changes the last digit.
func otherHex(s string) string {
	last := byte('0')
	if s[len(s)-1] == '0' {
		last = '1'
	}
	return s[:len(s)-1] + string(last)
}
