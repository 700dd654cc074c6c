package object

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// Opened is a stored object on its way to plaintext, without a running proxy.
type Opened struct {
	Size int64 // of the plaintext
	// Old says that the older s3proxy wrote it: its MD5 is compared, and nothing authenticates it.
	Old   bool
	plain plainReader
	close func() error
}

type plainReader interface {
	io.WriterTo
	io.Closer
}

// oldReader is the plaintext of an old object.
type oldReader struct{ io.Reader }

func (r oldReader) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, r.Reader) }
func (oldReader) Close() error                         { return nil }

// WriteTo writes the plaintext, each segment of format 1 after it was authenticated. What was written is
// the whole object only if it returns no error; an error names the damaged part and segment.
func (o *Opened) WriteTo(w io.Writer) (int64, error) { return o.plain.WriteTo(w) }

// Close drops the key and the rest of the transfer.
func (o *Opened) Close() error {
	o.plain.Close()
	return o.close()
}

// OpenStored asks the store of b for an object, or for one version if versionID is not empty. It
// returns envelope.ErrNotEncrypted if s3proxy did not write the object.
func OpenStored(ctx context.Context, b Settings, bucket, key, versionID string) (*Opened, error) {
	b.AllowPlaintextReads = false
	o := New(b, state.Place{}, NewCache())
	at, k, v, err := ParseRef(bucket, key, versionID)
	if err != nil {
		return nil, err
	}
	resp, err := b.Upstream.Do(ctx, &upstream.Request{Method: http.MethodGet, Bucket: at, Key: k, VersionID: v})
	if err != nil {
		return nil, err
	}
	s, err := o.ReadStored(at, k, false, resp)
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	if versionID != "" {
		s.Version = v
	}
	opened, err := o.open(ctx, s, resp.Body, func(n int64) ([]byte, error) { return o.readSuffix(ctx, s, n) })
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	dropKey := opened.close
	opened.close = func() error { dropKey(); return resp.Body.Close() }
	return opened, nil
}

// OpenRaw opens an object from copies of its stored bytes (stored is their number) and its user
// metadata (names without x-amz-meta-). bucket and key are those under which it was written. Of b
// it uses only Keyring and Origin.
func OpenRaw(ctx context.Context, b Settings, bucket, key string, metadata http.Header, raw io.ReaderAt, stored int64) (*Opened, error) {
	b.AllowPlaintextReads = false
	o := New(b, state.Place{}, NewCache())
	at, k, _, err := ParseRef(bucket, key, "")
	if err != nil {
		return nil, err
	}
	s, err := o.ReadStored(at, k, false, &http.Response{StatusCode: http.StatusOK, Header: metadata, ContentLength: stored})
	if err != nil {
		return nil, err
	}
	return o.open(ctx, s, io.NewSectionReader(raw, 0, stored), func(n int64) ([]byte, error) {
		end := make([]byte, n)
		if _, err := raw.ReadAt(end, stored-n); err != nil && err != io.EOF {
			return nil, fmt.Errorf("read the object's end: %w", err)
		}
		return end, nil
	})
}

// open prepares a whole object; suffix returns its last n stored bytes.
func (o *Objects) open(ctx context.Context, s *Stored, body io.Reader, suffix func(n int64) ([]byte, error)) (*Opened, error) {
	if s.Legacy != nil {
		return &Opened{Size: s.Size, Old: true, plain: oldReader{s.Legacy.Read(0, s.Size, body)}, close: func() error { return nil }}, nil
	}
	dek, _, err := o.Unlock(ctx, s)
	if err != nil {
		return nil, err
	}
	opened := &Opened{Size: s.Size, close: func() error { dek.Destroy(); return nil }}
	var want *envelope.Trailer
	if s.Meta.Kind == envelope.KindMultipart {
		if want, err = openTrailer(dek, s.Meta.Kind, s.Bytes, suffix); err != nil {
			dek.Destroy()
			return nil, err
		}
	}
	opened.plain = s.OpenWhole(dek, want, body)
	return opened, nil
}
