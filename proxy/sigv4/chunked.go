package sigv4

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

const (
	// minChunk is the least size of every chunk but the last, in bytes. It also
	// bounds what a sender can make us read besides data.
	minChunk = 8192

	// lineBuffer holds the lines between the data; data goes past it when the
	// caller's buffer is as large.
	lineBuffer     = 4096
	maxChunkHeader = 256
	maxTrailers    = 16
	maxTrailerSize = 8192

	chunkSignature   = "chunk-signature="
	trailerSignature = "x-amz-trailer-signature"
)

// chunked decodes an aws-chunked body:
//
//	chunk   = hex-size [";chunk-signature=" 64hex] CRLF data CRLF
//	body    = *chunk "0" [";chunk-signature=" 64hex] CRLF *trailer [signature] CRLF
//	trailer = name ":" value CRLF
//
// minio-go ends its last trailer with LF CRLF, and so does an example of AWS;
// that is taken too.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
type chunked struct {
	in   *bufio.Reader
	want int64 // decoded bytes that are still to come

	// Of signed chunks: the chain of signatures, the hash of the current chunk,
	// the signature that its header has. chain is nil otherwise.
	chain         *chain
	sum           hash.Hash
	signature     string
	signedTrailer bool

	number     int   // of the current chunk, from 1
	size, left int64 // of the current chunk

	declared []string
	trailers map[string]string
}

func (c *chunked) Read(p []byte) (int, error) {
	if c.left == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	if c.want == 0 {
		return 0, c.excess()
	}
	p = p[:min(int64(len(p)), c.left, c.want)]
	n, err := c.in.Read(p)
	if err != nil {
		return 0, truncated(err)
	}
	c.left -= int64(n)
	c.want -= int64(n)
	if c.chain != nil {
		c.sum.Write(p[:n])
		if c.left == 0 {
			if err := c.verifyChunk(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

// next goes on to the data of the next chunk. After the last it reads the rest
// of the body and gives io.EOF if all is well.
func (c *chunked) next() error {
	if c.number > 0 {
		if line, err := c.line(maxChunkHeader); err != nil {
			return err
		} else if line != "\r" {
			return s3err.IncompleteBody
		}
	}
	size, err := c.header()
	if err != nil {
		return err
	}
	if size > 0 {
		if c.number > 0 && c.size < minChunk {
			return s3err.InvalidChunkSizeError.With(
				s3err.Field{Name: "Chunk", Value: strconv.Itoa(c.number)},
				s3err.Field{Name: "BadChunkSize", Value: strconv.FormatInt(c.size, 10)})
		}
		c.number++
		c.size, c.left = size, size
		return nil
	}
	if c.chain != nil {
		if err := c.verifyChunk(); err != nil {
			return err
		}
	}
	if c.want != 0 {
		return errWrongLength
	}
	if err := c.end(); err != nil {
		return err
	}
	if _, err := c.in.ReadByte(); err == nil {
		return errWrongLength // something behind the end
	} else {
		return err
	}
}

// header reads the line before a chunk's data.
func (c *chunked) header() (size int64, err error) {
	line, err := c.line(maxChunkHeader)
	if err != nil {
		return 0, err
	}
	digits, ok := strings.CutSuffix(line, "\r")
	if ok && c.chain != nil {
		digits, c.signature, ok = strings.Cut(digits, ";"+chunkSignature)
		ok = ok && isSignature(c.signature)
	}
	n, err := strconv.ParseUint(digits, 16, 63)
	if !ok || err != nil {
		return 0, s3err.IncompleteBody
	}
	return int64(n), nil
}

func (c *chunked) verifyChunk() error {
	sum := c.sum.Sum(make([]byte, 0, sha256.Size))
	c.sum.Reset()
	if !c.chain.is(c.chain.chunk(sum), c.signature) {
		return s3err.SignatureDoesNotMatch
	}
	return nil
}

// excess says what is wrong when a chunk goes on behind the declared length:
// the chunk is cut short, or there is too much data.
func (c *chunked) excess() error {
	next, err := c.in.Peek(2)
	if err != nil {
		return truncated(err)
	}
	if string(next) == "\r\n" {
		return s3err.IncompleteBody
	}
	return errWrongLength
}

// end reads what follows the last chunk's header: the trailers that were
// declared, in any order and no others, their signature, an empty line.
func (c *chunked) end() error {
	lines := &trailerLines{in: c, left: maxTrailerSize}
	var text bytes.Buffer
	for range c.declared {
		if err := lines.next(); err != nil {
			return err
		}
		name, value, err := c.trailer(lines.line)
		if err != nil {
			return err
		}
		text.WriteString(name + ":" + value + "\n")
	}
	if lines.bare {
		if err := lines.empty(); err != nil {
			return err
		}
	}
	if c.signedTrailer {
		if err := lines.next(); err != nil {
			return err
		}
		given, ok := strings.CutPrefix(lines.line, trailerSignature+":")
		if !ok || lines.bare || !isSignature(given) {
			return c.unexpected(lines.line)
		}
		if !c.chain.is(c.chain.trailer(text.Bytes()), given) {
			return s3err.SignatureDoesNotMatch
		}
	}
	return lines.empty()
}

// trailerLines reads what is behind the last chunk by lines, up to a limit in bytes.
type trailerLines struct {
	in   *chunked
	left int
	line string // the last one
	bare bool   // it ended without a carriage return
}

func (l *trailerLines) next() (err error) {
	l.line, err = l.in.line(l.left)
	l.left -= len(l.line) + 1
	if err == nil {
		l.bare = !strings.HasSuffix(l.line, "\r")
		l.line = strings.TrimSuffix(l.line, "\r")
	}
	return err
}

// empty reads a line that must be empty.
func (l *trailerLines) empty() error {
	if err := l.next(); err != nil {
		return err
	}
	if l.line != "" || l.bare {
		return l.in.unexpected(l.line)
	}
	return nil
}

// trailer takes one "name:value".
func (c *chunked) trailer(line string) (name, value string, err error) {
	for _, b := range []byte(line) {
		if b < ' ' || b > '~' {
			return "", "", s3err.IncompleteBody
		}
	}
	name, value, ok := strings.Cut(line, ":")
	name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
	if _, twice := c.trailers[name]; !ok || twice || !slices.Contains(c.declared, name) {
		return "", "", s3err.MalformedTrailerError
	}
	c.trailers[name] = value
	return name, value, nil
}

// unexpected tells a trailer that nobody declared from a broken end.
func (c *chunked) unexpected(line string) error {
	if strings.HasPrefix(line, "x-amz-checksum-") || len(c.declared) == 0 && strings.Contains(line, ":") {
		return s3err.MalformedTrailerError
	}
	return s3err.IncompleteBody
}

// line reads to the next LF, which is not part of it. With it the line is at
// most limit bytes long.
func (c *chunked) line(limit int) (string, error) {
	line, err := c.in.ReadSlice('\n')
	switch {
	case err == bufio.ErrBufferFull || err == nil && len(line) > limit:
		return "", s3err.IncompleteBody
	case err != nil:
		return "", truncated(err)
	}
	return string(line[:len(line)-1]), nil
}

// truncated makes an end of the input where none may be an error.
func truncated(err error) error {
	if err == io.EOF {
		return s3err.IncompleteBody
	}
	return err
}

func isSignature(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == 2*sha256.Size
}

var errWrongLength = s3err.IncompleteBody.WithMessage("You did not provide the number of bytes specified by the Content-Length HTTP header")
