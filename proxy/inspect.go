package proxy

import (
	"context"
	"net/http"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// Inspection is what the store has of an object, without any secret.
type Inspection struct {
	Bucket, Key  string
	ETag         string // the store's own
	LastModified string
	StoredBytes  int64
	Size         int64              // plaintext, by arithmetic
	Metadata     *envelope.Metadata // nil: s3proxy did not write the object

	objects *objects
	stored  *stored
}

// Inspect asks the store for the headers of an object, or of one version of it if
// versionID is not empty. It needs no key and no running proxy.
func Inspect(ctx context.Context, store *upstream.Client, bucket, key, versionID string) (*Inspection, error) {
	o := &objects{Bucket: Bucket{Upstream: store, AllowPlaintextReads: true}, cache: newObjectCache()}
	b, k, v, err := refOf(bucket, key, versionID)
	if err != nil {
		return nil, err
	}
	resp, err := store.Do(ctx, &upstream.Request{Method: http.MethodHead, Bucket: b, Key: k, VersionID: v})
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	s, err := o.readStored(b, k, false, resp)
	if err != nil {
		return nil, err
	}
	if versionID != "" {
		s.version = v
	}
	return &Inspection{
		Bucket: bucket, Key: key, ETag: s.etag, LastModified: resp.Header.Get("Last-Modified"),
		StoredBytes: s.bytes, Size: s.size, Metadata: s.meta, objects: o, stored: s,
	}, nil
}

// Contents opens the object's key, as its bucket is configured, and reads what
// only it reveals: the facts in the metadata and the trailer. The trailer is nil
// for an empty object, which has none.
func (i *Inspection) Contents(ctx context.Context, b Bucket) (envelope.Facts, *envelope.Trailer, error) {
	i.objects.Bucket = b
	dek, facts, err := i.objects.unlock(ctx, i.stored)
	if err != nil {
		return envelope.Facts{}, nil, err
	}
	defer dek.Destroy()
	if i.Metadata.Kind == envelope.KindEmpty {
		return facts, nil, err
	}
	trailer, err := i.objects.trailer(ctx, i.stored, dek)
	return facts, trailer, err
}
