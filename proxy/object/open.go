package object

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/s3proxy/s3proxy/envelope"
)

// Read returns a range of an object's plaintext, authenticated if it is of format 1; its io.EOF
// confirms that everything has come. A whole object is read with its end, because until then its
// size is only the store's word, even that of an empty object.
func (o *Objects) Read(ctx context.Context, s *Stored, offset, length int64) (io.ReadCloser, error) {
	if s.Meta == nil {
		return o.readUnsealed(ctx, s, offset, length)
	}
	dek, _, err := o.Unlock(ctx, s)
	if err != nil {
		return nil, err
	}
	r, err := o.read(ctx, s, dek, offset, length)
	if err != nil {
		dek.Destroy()
	}
	return r, err
}

func (o *Objects) read(ctx context.Context, s *Stored, dek *envelope.DEK, offset, length int64) (io.ReadCloser, error) {
	if s.Meta.Kind == envelope.KindEmpty {
		dek.Destroy()
		return http.NoBody, nil
	}
	whole := length == s.Size
	var t *envelope.Trailer
	if s.Meta.Kind == envelope.KindMultipart || !whole { // the end must be seen before a range is trusted
		var err error
		if t, err = o.Trailer(ctx, s, dek); err != nil {
			return nil, err
		}
	}
	span := envelope.Span{Length: s.Bytes}
	var layout envelope.Layout // of a part of the object
	if !whole {
		layout = LayoutOf(t)
		span = layout.Span(offset, length)
	}
	resp, err := o.GetRange(ctx, s, span.Offset, span.Length)
	if err != nil {
		return nil, err
	}
	r := &reader{body: resp.Body, dek: dek}
	if whole {
		r.OpenReader = s.OpenWhole(dek, t, resp.Body)
	} else {
		r.OpenReader = s.OpenSpan(dek, layout, span, resp.Body)
	}
	return r, nil
}

// OpenWhole reads the plaintext of an object from all its stored bytes. t is its end, if that was
// seen; for a multipart object it is required.
func (s *Stored) OpenWhole(dek *envelope.DEK, t *envelope.Trailer, body io.Reader) *envelope.OpenReader {
	layout := envelope.SingleLayout(s.Size)
	if t != nil {
		layout = LayoutOf(t)
	}
	return dek.OpenObject(s.Meta.Kind, layout, s.Bytes, t, body)
}

// OpenSpan reads the plaintext of some segments, which are where layout says; body begins with their
// stored bytes.
func (s *Stored) OpenSpan(dek *envelope.DEK, layout envelope.Layout, span envelope.Span, body io.Reader) *envelope.OpenReader {
	return dek.Open(s.Meta.Kind, layout, span, io.LimitReader(body, span.Length))
}

// reader closes everything that a read of an object needs.
type reader struct {
	*envelope.OpenReader
	body io.Closer
	dek  *envelope.DEK
}

func (r *reader) Close() error {
	err := errors.Join(r.OpenReader.Close(), r.body.Close())
	r.dek.Destroy()
	return err
}
