package upstream

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/s3proxy/s3proxy/proxy/sigv4"
)

// How the store can check a streamed body. A body in memory is signed by its
// SHA-256; with PayloadChecked a larger one carries a CRC32C header instead.
const (
	// PayloadChecked streams unsigned chunks with a CRC32C behind the last one
	// (STREAMING-UNSIGNED-PAYLOAD-TRAILER).
	PayloadChecked Payload = "checked"
	// PayloadSigned streams signed chunks; it hashes every byte.
	PayloadSigned Payload = "signed"
	// PayloadUnsigned streams the bare body, for stores that take neither. A store may then
	// keep the beginning of a body that was cut: only parts of uploads are sent this way.
	PayloadUnsigned Payload = "unsigned"
)

// hashedUpTo is the size up to which a body in memory is signed by its SHA-256.
const hashedUpTo = 64 << 10

const (
	unsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	crcHeader       = "X-Amz-Checksum-Crc32c"
	// chunkSize is large, for a chunk costs the store a turn of its reader.
	chunkSize = 512 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sign puts the body into req in the form of the client's payload mode, and
// signs the request unless creds is nil.
func (c *Client) sign(ctx context.Context, req *http.Request, in *Request, creds *aws.Credentials) error {
	payload := sigv4.UnsignedPayload
	switch {
	case in.Bytes != nil && (len(in.Bytes) <= hashedUpTo || c.cfg.Payload != PayloadChecked):
		sum := sha256.Sum256(in.Bytes)
		payload = hex.EncodeToString(sum[:])
		if in.Checksum != nil && c.cfg.Payload != PayloadUnsigned {
			setChecksum(req.Header, in.Checksum, in.Bytes)
		}
	case in.Bytes != nil:
		sum := in.Checksum
		if sum == nil {
			sum = crc32c()
		}
		setChecksum(req.Header, sum, in.Bytes)
	case in.Body == nil && in.Bytes == nil:
		if in.Method != http.MethodGet && in.Method != http.MethodHead {
			payload = emptySHA256
		}
	case in.SHA256 != nil:
		payload = hex.EncodeToString(in.SHA256)
	case c.cfg.Payload == PayloadSigned && creds != nil && in.Checksum == nil:
		return c.signer.SignChunked(ctx, req, *creds, in.Body, in.Length, time.Now())
	case c.cfg.Payload != PayloadUnsigned:
		payload = unsignedTrailer
		chunk(req, in)
	}
	if creds == nil {
		if req.Body != nil { // versitygw takes any value for a hash where nothing is signed
			req.Header.Set("X-Amz-Content-Sha256", payload)
		}
		return nil
	}
	return c.signer.Sign(ctx, req, *creds, payload, time.Now())
}

// emptySHA256 is the SHA-256 of no bytes.
const emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func setChecksum(h http.Header, sum *Checksum, body []byte) {
	sum.Hash.Reset() // the same request may have been sent before
	sum.Hash.Write(body)
	h.Set(sum.Header, sum.value())
}

func (c *Checksum) value() string { return base64.StdEncoding.EncodeToString(c.Hash.Sum(nil)) }

func crc32c() *Checksum { return &Checksum{Header: crcHeader, Hash: crc32.New(castagnoli)} }

// chunk makes the body one of unsigned chunks with a trailing checksum.
func chunk(req *http.Request, in *Request) {
	encoding := "aws-chunked"
	if own := req.Header.Get("Content-Encoding"); own != "" {
		encoding += "," + own
	}
	req.Header.Set("Content-Encoding", encoding)
	req.Header.Set("X-Amz-Decoded-Content-Length", strconv.FormatInt(in.Length, 10))
	sum := in.Checksum
	if sum == nil {
		sum = crc32c()
	}
	req.Header.Set("X-Amz-Trailer", strings.ToLower(sum.Header))
	req.ContentLength = chunkedLength(in.Length, sum)
	req.GetBody = nil
	req.Body = &chunkWriter{in: in.Body, left: in.Length, sum: sum}
}

// chunkedLength is the length of a body of n bytes in chunks, in bytes.
func chunkedLength(n int64, sum *Checksum) int64 {
	frame := func(size int64) int64 { return int64(len(strconv.FormatInt(size, 16))) + 2 + size + 2 }
	length := n / chunkSize * frame(chunkSize)
	if rest := n % chunkSize; rest > 0 {
		length += frame(rest)
	}
	return length + int64(len(sum.lastChunk()))
}

func (c *Checksum) lastChunk() string {
	return "0\r\n" + strings.ToLower(c.Header) + ":" + c.value() + "\r\n\r\n"
}

// chunkWriter frames a body as it is read. The bytes of a chunk are read into
// the caller's buffer; nothing is held.
type chunkWriter struct {
	in    io.Reader
	left  int64 // of the body
	chunk int64 // left of the current chunk
	sum   *Checksum
	frame string // framing that is still to be given
	ended bool   // the last chunk was framed
}

// Close closes the body, where it can be closed.
func (w *chunkWriter) Close() error {
	if c, ok := w.in.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

func (w *chunkWriter) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if w.frame != "" {
			copied := copy(p[n:], w.frame)
			w.frame = w.frame[copied:]
			n += copied
			continue
		}
		switch {
		case w.chunk > 0:
			got, err := w.in.Read(p[n : n+int(min(int64(len(p)-n), w.chunk))])
			w.sum.Hash.Write(p[n : n+got])
			n += got
			w.chunk -= int64(got)
			w.left -= int64(got)
			if err != nil && (err != io.EOF || w.left > 0) {
				return n, unexpected(err)
			}
			if w.chunk == 0 {
				w.frame = "\r\n"
			} else if got == 0 {
				return n, nil
			}
		case w.left > 0:
			w.chunk = min(w.left, chunkSize)
			w.frame = strconv.FormatInt(w.chunk, 16) + "\r\n"
		case w.ended:
			return n, eofUnless(n)
		default:
			// The last chunk vouches for the body: only once its reader did.
			if got, err := io.ReadFull(w.in, make([]byte, 1)); got > 0 {
				return n, errTooLong
			} else if err != io.EOF {
				return n, err
			}
			w.ended = true
			w.frame = w.sum.lastChunk()
		}
	}
	return n, nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func eofUnless(n int) error {
	if n > 0 {
		return nil
	}
	return io.EOF
}
