package inplace

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/object"
)

// ErrEncrypted says that an object is already encrypted.
var ErrEncrypted = errors.New("the object is encrypted already")

// Encrypt is a change for Renew that seals an unencrypted object under a new key. If the store has
// a checksum of the whole object, it is verified on the way and kept; other objects get a
// CRC64NVME. It fails with ErrEncrypted, and with s3err.BadDigest for an object that does not match
// its checksum.
func (r *Renewer) Encrypt(ctx context.Context, bucket, key string, n *Renewal) error {
	if n.Meta != nil {
		return ErrEncrypted
	}
	at, k, _, err := object.ParseRef(bucket, key, "")
	if err != nil {
		return err
	}
	declared := &checksum.Declared{Algorithm: n.checksum.Algorithm, Value: n.checksum.Value}
	known := envelope.Facts{Checksum: n.checksum}
	if object.KindOfPut(key, n.Stored) == envelope.KindEmpty {
		if known, err = object.EmptyFacts(object.ReadPlain(http.NoBody, declared)); err != nil {
			return err
		}
	}
	sealing, err := r.objects.NewSealing(ctx, at, k, n.Stored, known)
	if err != nil {
		return err
	}
	if n.Meta = sealing.Meta; sealing.Kind == envelope.KindEmpty {
		return nil
	}
	n.Length = sealing.Length
	n.Body = func(old io.Reader) io.Reader {
		plain := object.ReadPlain(old, declared)
		return sealing.Body(plain, plain.Facts)
	}
	return nil
}
