package object

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/s3proxy/s3proxy/envelope"
)

// To replace an object, its stored bytes are read first. If the store returned a wrong byte, it
// would then replace the right one. Therefore stored bytes are authenticated while they are read,
// and the last one is withheld until all of them were.

// Reread reads n stored bytes of the source from offset on, up to its end or to the start of its
// trailer. dek is nil for plaintext, about which nothing can be proven.
func (o *Objects) Reread(ctx context.Context, s *Stored, dek *envelope.DEK, offset, n int64) (io.ReadCloser, error) {
	if n == 0 {
		return io.NopCloser(bytes.NewReader(nil)), nil
	}
	if dek == nil {
		resp, err := o.GetRange(ctx, s, offset, n)
		if err != nil {
			return nil, err
		}
		return resp.Body, nil
	}
	t, err := o.Trailer(ctx, s, dek)
	if err != nil {
		return nil, err
	}
	layout := LayoutOf(t)
	p := &proven{}
	if offset == 0 && n == s.Bytes {
		resp, err := o.GetRange(ctx, s, 0, n)
		if err != nil {
			return nil, err
		}
		p.body = resp.Body
		p.opened = s.OpenWhole(dek, t, io.TeeReader(resp.Body, &p.raw))
		return p, nil
	}
	span := layout.From(offset)
	if offset+n != layout.BodySize() {
		return nil, envelope.ErrLayout
	}
	resp, err := o.GetRange(ctx, s, span.Offset, span.Length)
	if err != nil {
		return nil, err
	}
	p.body, p.skip = resp.Body, offset-span.Offset
	p.opened = s.OpenSpan(dek, layout, span, io.TeeReader(resp.Body, &p.raw))
	return p, nil
}

// proven returns stored bytes unchanged. It withholds the last one until all have been
// authenticated.
type proven struct {
	opened *envelope.OpenReader
	raw    bytes.Buffer // bytes that opened has pulled
	body   io.Closer
	skip   int64 // bytes read only to complete a segment
	err    error // from opened
}

func (p *proven) Read(b []byte) (int, error) {
	var plain [16 << 10]byte
	defer clear(plain[:])
	for p.err == nil && int64(p.raw.Len()) <= p.skip+1 {
		_, p.err = p.opened.Read(plain[:])
	}
	if p.err != nil && p.err != io.EOF {
		return 0, p.err
	}
	p.raw.Next(int(p.skip))
	p.skip = 0
	if p.err == nil {
		b = b[:min(len(b), p.raw.Len()-1)]
	}
	return p.raw.Read(b)
}

func (p *proven) Close() error { return errors.Join(p.opened.Close(), p.body.Close()) }
