package object

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// PutInParts stores a body in parts of partSize bytes. The store combines them only after the
// body's io.EOF.
func PutInParts(ctx context.Context, u *upstream.Upload, h http.Header, body io.Reader, length, partSize int64) (*http.Response, error) {
	result, header, err := u.InParts(ctx, h, func(list *s3xml.CompleteUpload) error {
		for number := 1; length > 0; number++ {
			size := min(length, partSize)
			length -= size
			etag, err := PutPart(ctx, u, number, body, size, nil)
			if err != nil {
				return fmt.Errorf("part %d of a body: %w", number, err)
			}
			list.Add(number, etag)
		}
		return ConfirmEnd(body)
	})
	if err != nil {
		return nil, err
	}
	header = header.Clone()
	for _, name := range []string{"Content-Length", "Content-Type"} { // these describe the result's document
		header.Del(name)
	}
	header.Set("Etag", `"`+strings.Trim(result.ETag, `"`)+`"`)
	return &http.Response{StatusCode: http.StatusOK, Header: header, Body: http.NoBody}, nil
}

// PutPart sends the next size bytes of a body as a part, and returns its ETag. sum is the checksum
// that the store gets with it; nil leaves the choice to the upstream client.
func PutPart(ctx context.Context, u *upstream.Upload, number int, body io.Reader, size int64, sum *upstream.Checksum) (etag string, err error) {
	p := &piece{body: body}
	p.left.Store(size)
	req := &upstream.Request{}
	if size > 0 {
		req.Body, req.Length, req.Checksum = p, size, sum
	}
	if etag, err = u.Part(ctx, number, req); err == nil && p.left.Load() > 0 {
		err = checksum.ErrAnsweredEarly
	}
	return etag, err
}

// piece is the next part of a body. It knows what is left of the part, even though the transport
// may go on reading after the store has answered.
type piece struct {
	body io.Reader
	left atomic.Int64
}

func (p *piece) Read(b []byte) (int, error) {
	left := p.left.Load()
	if left == 0 {
		return 0, io.EOF
	}
	n, err := p.body.Read(b[:min(int64(len(b)), left)])
	p.left.Add(-int64(n))
	return n, err
}

// ConfirmEnd reads a body's io.EOF, which confirms that the body was good.
func ConfirmEnd(body io.Reader) error {
	switch n, err := io.ReadFull(body, make([]byte, 1)); {
	case n > 0:
		return envelope.ErrTooLong
	case err != io.EOF:
		return err
	}
	return nil
}
