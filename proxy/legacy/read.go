package legacy

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"fmt"
	"hash"
	"io"

	"github.com/s3proxy/s3proxy/envelope"
)

// Span is where the stored bytes are that a range of the plaintext needs: CFB begins at any block, with
// the one before as its IV.
func Span(offset, length int64) (stored, n int64) {
	skip := offset % aes.BlockSize
	return offset - skip, aes.BlockSize + skip + length
}

// Read gives length bytes of plaintext from offset, out of the stored bytes of their Span. If they are
// the whole object, and its MD5 is known, the last of them come only if they have it. There must be as
// many: fewer are an envelope.ErrTruncated, more an envelope.ErrTooLong.
func (o *Object) Read(offset, length int64, body io.Reader) io.Reader {
	r := &reader{of: o, body: body, skip: offset % aes.BlockSize, left: length}
	if length == o.Size && o.MD5 != nil {
		r.sum = md5.New()
	}
	return r
}

type reader struct {
	of     *Object
	body   io.Reader // stored bytes, and plaintext once the IV was read
	opened bool
	skip   int64 // bytes that are there for the sake of the block alone
	left   int64 // bytes of plaintext
	sum    hash.Hash
	err    error
}

func (r *reader) Read(p []byte) (int, error) {
	if r.err == nil && !r.opened {
		r.err = r.begin()
	}
	if r.err != nil || len(p) == 0 {
		return 0, r.err
	}
	if r.left == 0 {
		r.err = r.end()
		return 0, r.err
	}
	n, err := r.body.Read(p[:min(int64(len(p)), r.left)])
	if r.sum != nil {
		r.sum.Write(p[:n])
	}
	r.left -= int64(n)
	if err == io.EOF && r.left > 0 {
		err = fmt.Errorf("%w: %d bytes of an object of the older s3proxy are missing", envelope.ErrTruncated, r.left)
	}
	if r.left == 0 && (err == nil || err == io.EOF) {
		if err = r.end(); err == io.EOF {
			r.err = err
			return n, nil
		}
	}
	if err != nil {
		r.err = err
		clear(p[:n]) // of the end, which was not good
		return 0, err
	}
	return n, nil
}

// begin reads the IV, or the block before the range.
func (r *reader) begin() error {
	r.opened = true
	iv := make([]byte, aes.BlockSize)
	if _, err := io.ReadFull(r.body, iv); err != nil {
		return fmt.Errorf("%w: the IV of an object of the older s3proxy: %w", envelope.ErrTruncated, err)
	}
	r.body = cipher.StreamReader{S: decrypter(r.of.block, iv), R: r.body}
	if _, err := io.CopyN(io.Discard, r.body, r.skip); err != nil {
		return fmt.Errorf("%w: the beginning of a range: %w", envelope.ErrTruncated, err)
	}
	return nil
}

// end gives io.EOF if all that was read was good.
func (r *reader) end() error {
	switch n, err := io.ReadFull(r.body, make([]byte, 1)); {
	case n > 0:
		return envelope.ErrTooLong
	case err != io.EOF:
		return err
	case r.sum != nil && !bytes.Equal(r.sum.Sum(nil), r.of.MD5):
		return ErrMD5
	}
	return io.EOF
}
