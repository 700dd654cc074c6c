package inplace

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/legacy"
	"github.com/s3proxy/s3proxy/proxy/object"
)

// EncryptOld is a change for Renew that seals an object of the older s3proxy, which opens with the
// bucket's legacy key, under a new key. One whose content does not have the MD5 in its header is left
// as it is, and the renewal fails with legacy.ErrMD5.
func (r *Renewer) EncryptOld(ctx context.Context, bucket, key string, n *Renewal) error {
	old := n.Old
	if old == nil {
		return errors.New("the object is not of the older s3proxy")
	}
	at, k, _, err := object.ParseRef(bucket, key, "")
	if err != nil {
		return err
	}
	known := envelope.Facts{MD5: old.MD5} // which the content has, or it does not become an object
	if object.KindOfPut(key, old.Size) == envelope.KindEmpty {
		if known, err = object.EmptyFacts(object.ReadPlain(http.NoBody, &checksum.Declared{})); err != nil {
			return err
		}
	}
	sealing, err := r.objects.NewSealing(ctx, at, k, old.Size, known)
	if err != nil {
		return err
	}
	n.Meta, n.Length = sealing.Meta, sealing.Length
	delete(n.Header, object.MetaName(legacy.HeaderName))
	n.Body = func(stored io.Reader) io.Reader {
		if sealing.Kind == envelope.KindEmpty {
			return http.NoBody
		}
		plain := object.ReadPlain(old.Read(0, old.Size, stored), &checksum.Declared{})
		return sealing.Body(plain, plain.Facts)
	}
	return nil
}
