package test

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
	signedStream          = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	signedStreamTrailer   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	unsignedStreamTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	crcTrailer            = "x-amz-checksum-crc32"
)

// stream is an aws-chunked body. The zero values of what follows the shape are
// a right one.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
type stream struct {
	shape string
	body  []byte

	chunk        int    // bytes of each chunk but the last; 0: 64 KiB, S3's least is 8 KiB
	decoded      int    // x-amz-decoded-content-length; 0: the true one
	forge        int    // number of the chunk, from 1, that gets a wrong signature
	noFinal      bool   // the chunk of no bytes is left out
	cut          int    // bytes left out at the end of all
	checksum     string // instead of the right one in the trailer
	noTrailer    bool   // promised, and not sent
	otherTrailer string // this line instead of the promised one
	forgeTrailer bool   // a wrong signature of the trailer
}

func (s *stream) headers() map[string]string {
	h := map[string]string{
		"content-encoding":             "aws-chunked",
		"x-amz-decoded-content-length": fmt.Sprint(len(s.body)),
	}
	if s.decoded != 0 {
		h["x-amz-decoded-content-length"] = fmt.Sprint(s.decoded)
	}
	if s.shape != signedStream {
		h["x-amz-trailer"] = crcTrailer
	}
	return h
}

// chunkSigner chains the signatures of chunks, beginning with the request's.
type chunkSigner struct {
	key         []byte
	date, scope string
	previous    string
}

func (c *chunkSigner) next(algorithm string, hashes ...string) string {
	toSign := strings.Join(append([]string{algorithm, c.date, c.scope, c.previous}, hashes...), "\n")
	c.previous = hex.EncodeToString(mac(c.key, toSign))
	return c.previous
}

func (s *stream) encode(sign chunkSigner) []byte {
	var b bytes.Buffer
	size := s.chunk
	if size == 0 {
		size = 64 << 10
	}
	number := 0
	write := func(data []byte) {
		number++
		if s.shape == unsignedStreamTrailer {
			fmt.Fprintf(&b, "%x\r\n", len(data))
		} else {
			signature := sign.next(signatureV4+"-PAYLOAD", emptySHA256, hexSHA256(data))
			if number == s.forge {
				signature = otherHex(signature)
			}
			fmt.Fprintf(&b, "%x;chunk-signature=%s\r\n", len(data), signature)
		}
		if len(data) > 0 {
			b.Write(data)
			b.WriteString("\r\n")
		}
	}
	for rest := s.body; len(rest) > 0; {
		n := min(size, len(rest))
		write(rest[:n])
		rest = rest[n:]
	}
	if !s.noFinal {
		write(nil)
		s.trailer(&b, &sign)
		b.WriteString("\r\n")
	}
	return b.Bytes()[:b.Len()-s.cut]
}

func (s *stream) trailer(b *bytes.Buffer, sign *chunkSigner) {
	if s.shape == signedStream || s.noTrailer {
		return
	}
	line := crcTrailer + ":" + orElse(s.checksum, crc32Of(s.body))
	line = orElse(s.otherTrailer, line)
	fmt.Fprintf(b, "%s\r\n", line)
	if s.shape == signedStreamTrailer {
		signature := sign.next(signatureV4+"-TRAILER", hexSHA256([]byte(line+"\n")))
		if s.forgeTrailer {
			signature = otherHex(signature)
		}
		fmt.Fprintf(b, "x-amz-trailer-signature:%s\r\n", signature)
	}
}

func crc32Of(b []byte) string {
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
