package inplace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/object"
)

// ErrEncrypted says that an object is encrypted already.
var ErrEncrypted = errors.New("the object is encrypted already")

// Encrypt is a change for Renew that seals an object which is not encrypted under a new
// key. A checksum of the whole object that the store has is verified on the way and kept;
// other objects get a CRC64NVME. It fails with ErrEncrypted, and for an object that does
// not match its checksum with s3err.BadDigest.
func (r *Renewer) Encrypt(ctx context.Context, bucket, key string, n *Renewal) error {
	if n.Meta != nil {
		return ErrEncrypted
	}
	o := r.objects
	size := n.Stored
	kind := object.KindOfPut(key, size)
	at, k, _, err := object.ParseRef(bucket, key, "")
	if err != nil {
		return err
	}
	dek, meta, err := o.Keyring.NewKey(ctx, kms.Name{Bucket: o.KeyBucket(at), Key: k.String(), Kind: kind})
	if err != nil {
		return err
	}
	// As in SealRaw, the trailer has the MD5 too: it is the ETag in md5 mode.
	p := &checksum.Declared{Algorithm: n.checksum.Algorithm, Value: n.checksum.Value, WantsMD5: true}
	if p.Algorithm == envelope.NoChecksum {
		p.Algorithm = envelope.CRC64NVME
	}
	known := envelope.Facts{Checksum: n.checksum}
	if kind == envelope.KindEmpty {
		defer dek.Destroy()
		nothing := checksum.NewReader(http.NoBody, nil, p)
		if _, err := nothing.Read(make([]byte, 1)); err != io.EOF {
			return fmt.Errorf("the checksum of an empty object: %w", err)
		}
		known = nothing.Facts()
	}
	if _, err := object.EncodeMetadata(dek, meta, size, known); err != nil {
		dek.Destroy()
		return err
	}
	n.Meta = meta
	if kind == envelope.KindEmpty {
		return nil
	}
	n.Length = envelope.StoredSize(size)
	n.Body = func(old io.Reader) io.Reader {
		plain := checksum.NewReader(old, nil, p)
		return object.DestroyAtEnd(dek.SealObject(size, plain, plain.Facts), dek)
	}
	return nil
}
