package object

import (
	"context"
	"io"
	"net/http"

	"github.com/s3proxy/s3proxy/proxy/legacy"
)

// readOther reads the store's answer about an object without metadata of format 1: an old object,
// or plaintext. An object that has both kinds of metadata counts as format 1 only.
func (o *Objects) readOther(s *Stored, notEncrypted error) (*Stored, error) {
	switch old := legacy.Marked(s.Header) && !o.Passthrough; {
	case old && o.tellOnly:
		s.Size = max(s.Bytes-legacy.Overhead, 0)
	case old && o.Legacy == nil:
		return nil, legacy.ErrNoKey
	case old:
		opened, err := o.Legacy.Open(s.Header, s.Bytes)
		if err != nil {
			return nil, err
		}
		s.Legacy, s.Size = opened, opened.Size
	case !o.AllowPlaintextReads:
		return nil, notEncrypted
	default:
		s.Size = s.Bytes
	}
	return s, nil
}

// readUnsealed returns a range of an object that nothing authenticates. If an old object is read
// whole, its MD5 is compared.
func (o *Objects) readUnsealed(ctx context.Context, s *Stored, offset, length int64) (io.ReadCloser, error) {
	if length == 0 {
		return http.NoBody, nil
	}
	at, n := offset, length
	if s.Legacy != nil {
		at, n = legacy.Span(offset, length)
	}
	resp, err := o.GetRange(ctx, s, at, n)
	if err != nil || s.Legacy == nil {
		return bodyOf(resp, err)
	}
	return struct {
		io.Reader
		io.Closer
	}{s.Legacy.Read(offset, length, resp.Body), resp.Body}, nil
}

func bodyOf(resp *http.Response, err error) (io.ReadCloser, error) {
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}
