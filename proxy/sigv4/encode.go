package sigv4

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// sentChunk is the size of the chunks that SignChunked sends, in bytes.
const sentChunk = 64 << 10

// ChunkedLength is the length of a body of decoded bytes as SignChunked sends
// it, in bytes: its Content-Length.
func ChunkedLength(decoded int64) int64 {
	frame := func(size int64) int64 {
		return int64(len(strconv.FormatInt(size, 16))) + 1 + int64(len(chunkSignature)) + 2*sha256.Size + 2 + size + 2
	}
	length := decoded/sentChunk*frame(sentChunk) + frame(0)
	if rest := decoded % sentChunk; rest > 0 {
		length += frame(rest)
	}
	return length
}

// chunkEncoder is the sender's side of chunked, without trailers.
type chunkEncoder struct {
	in    io.Reader
	left  int64 // of the data
	chain chain

	data  []byte
	frame []byte // what is still to be given of the current chunk
	buf   []byte
	done  bool
	err   error
}

func (e *chunkEncoder) Read(p []byte) (int, error) {
	if len(e.frame) == 0 && e.err == nil {
		e.err = e.next()
	}
	if e.err != nil {
		return 0, e.err
	}
	n := copy(p, e.frame)
	e.frame = e.frame[n:]
	return n, nil
}

func (e *chunkEncoder) next() error {
	if e.done {
		return io.EOF
	}
	if e.data == nil {
		e.data = make([]byte, min(e.left, sentChunk))
	}
	data := e.data[:min(e.left, sentChunk)]
	if len(data) > 0 {
		if _, err := io.ReadFull(e.in, data); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("body to be signed: %w", err)
		}
	} else {
		// The last chunk vouches for the whole body: only once its reader did.
		if n, err := io.ReadFull(e.in, make([]byte, 1)); n > 0 {
			return errors.New("body to be signed: longer than its length")
		} else if err != io.EOF {
			return fmt.Errorf("body to be signed: %w", err)
		}
		e.done = true
	}
	e.left -= int64(len(data))
	sum := sha256.Sum256(data)
	e.buf = strconv.AppendInt(e.buf[:0], int64(len(data)), 16)
	e.buf = append(e.buf, ";"+chunkSignature+e.chain.chunk(sum[:])+"\r\n"...)
	e.buf = append(e.buf, data...)
	e.buf = append(e.buf, "\r\n"...)
	e.frame = e.buf
	return nil
}
