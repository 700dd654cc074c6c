package proxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// Opened is a stored object on its way to plaintext, without a running proxy.
type Opened struct {
	Size  int64 // of the plaintext
	plain *envelope.OpenReader
	close func() error
}

// WriteTo writes the plaintext, each segment after it was authenticated. Only
// after it has answered no error is what was written the whole object; an error
// names the part and segment that is damaged.
func (o *Opened) WriteTo(w io.Writer) (int64, error) { return o.plain.WriteTo(w) }

// Close drops the key and what is left of the transfer.
func (o *Opened) Close() error {
	o.plain.Close()
	return o.close()
}

// OpenStored asks the store of b for an object, or for one version of it if
// versionID is not empty. envelope.ErrNotEncrypted if s3proxy did not write it.
func OpenStored(ctx context.Context, b Bucket, bucket, key, versionID string) (*Opened, error) {
	b.AllowPlaintextReads = false
	o := &objects{Bucket: b, cache: newObjectCache()}
	at, k, v, err := refOf(bucket, key, versionID)
	if err != nil {
		return nil, err
	}
	resp, err := b.Upstream.Do(ctx, &upstream.Request{Method: http.MethodGet, Bucket: at, Key: k, VersionID: v})
	if err != nil {
		return nil, err
	}
	s, err := o.readStored(at, k, false, resp)
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	if versionID != "" {
		s.version = v
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

// OpenRaw takes an object's stored bytes, of which there are so many, and its user
// metadata (names without x-amz-meta-) as they were copied from a store. Bucket and
// key are those that it was written under. Of b only the keys and Origin count.
func OpenRaw(ctx context.Context, b Bucket, bucket, key string, metadata http.Header, raw io.ReaderAt, stored int64) (*Opened, error) {
	b.AllowPlaintextReads = false
	o := &objects{Bucket: b, cache: newObjectCache()}
	at, k, _, err := refOf(bucket, key, "")
	if err != nil {
		return nil, err
	}
	s, err := o.readStored(at, k, false, &http.Response{StatusCode: http.StatusOK, Header: metadata, ContentLength: stored})
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

// open prepares a whole object; suffix gives its last n stored bytes.
func (o *objects) open(ctx context.Context, s *stored, body io.Reader, suffix func(n int64) ([]byte, error)) (*Opened, error) {
	dek, _, err := o.unlock(ctx, s)
	if err != nil {
		return nil, err
	}
	opened := &Opened{Size: s.size, close: func() error { dek.Destroy(); return nil }}
	layout := envelope.SingleLayout(s.size)
	var want *envelope.Trailer
	if s.meta.Kind == envelope.KindMultipart {
		if want, err = openTrailer(dek, s.meta.Kind, s.bytes, suffix); err != nil {
			dek.Destroy()
			return nil, err
		}
		layout = layoutOf(want)
	}
	opened.plain = dek.OpenObject(s.meta.Kind, layout, s.bytes, want, body)
	return opened, nil
}

// SealRaw gives what a store would hold of an object of one PUT: the user metadata
// (names without x-amz-meta-), and the stored bytes while it pulls exactly size
// bytes of plaintext from src. The caller closes it.
func SealRaw(ctx context.Context, b Bucket, bucket, key string, src io.Reader, size int64) (map[string]string, io.ReadCloser, error) {
	o := &objects{Bucket: b}
	kind := kindOfPut(key, size)
	at, k, _, err := refOf(bucket, key, "")
	if err != nil {
		return nil, nil, err
	}
	dek, meta, err := b.Keyring.NewKey(ctx, kms.Name{Bucket: o.keyBucket(at), Key: k.String(), Kind: kind})
	if err != nil {
		return nil, nil, err
	}
	// The checksum and the MD5 of the plaintext are in the trailer, for HEAD.
	plain := checksum.NewReader(src, nil, &checksum.Declared{Algorithm: envelope.CRC64NVME, WantsMD5: true})
	known := envelope.Facts{}
	if kind == envelope.KindEmpty { // it has no trailer
		if n, err := plain.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			dek.Destroy()
			return nil, nil, fmt.Errorf("read the plaintext: %w", envelope.ErrTooLong)
		}
		known = plain.Facts()
	}
	fields, err := encodeMetadata(dek, meta, size, known)
	if err != nil {
		dek.Destroy()
		return nil, nil, err
	}
	if kind == envelope.KindEmpty {
		dek.Destroy()
		return fields, io.NopCloser(bytes.NewReader(nil)), nil
	}
	return fields, &sealedRaw{dek.SealObject(size, plain, plain.Facts), dek}, nil
}

// sealedRaw destroys the key when it is closed.
type sealedRaw struct {
	*envelope.SealReader
	dek *envelope.DEK
}

func (s *sealedRaw) Close() error {
	s.SealReader.Close()
	s.dek.Destroy()
	return nil
}
