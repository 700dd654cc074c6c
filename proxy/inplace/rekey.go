package inplace

import (
	"context"
	"io"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/object"
)

// Rekey is a change for Renew that seals an object again: under a new key, in a new window, with
// the same parts, facts and size. It fails with envelope.ErrNotEncrypted for plaintext.
func (r *Renewer) Rekey(ctx context.Context, bucket, key string, n *Renewal) error {
	if n.Meta == nil {
		return envelope.ErrNotEncrypted
	}
	at, k, _, err := object.ParseRef(bucket, key, "")
	if err != nil {
		return err
	}
	o := r.objects
	kind := n.Meta.Kind
	dek, meta, err := o.Keyring.NewKey(ctx, kms.Name{Bucket: o.KeyBucket(at), Key: k.String(), Kind: kind})
	if err != nil {
		return err
	}
	size := int64(0)
	if n.trailer != nil {
		size = n.trailer.Size
	}
	if _, err := object.EncodeMetadata(dek, meta, size, n.facts); err != nil {
		dek.Destroy()
		return err
	}
	n.Meta = meta
	if n.trailer == nil {
		dek.Destroy()
		return nil
	}
	old, trailer, stored := n.DEK, n.trailer, n.Stored
	n.Length = stored
	n.Body = func(body io.Reader) io.Reader {
		return object.DestroyAtEnd(old.ResealObject(dek, stored, trailer, body), dek)
	}
	return nil
}
