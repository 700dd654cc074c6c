package object

import (
	"context"
	"net/http"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/legacy"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// Inspection is what the store reveals about an object, without any secret.
type Inspection struct {
	Bucket, Key  string
	ETag         string // the store's own
	LastModified string
	StoredBytes  int64
	Size         int64              // of the plaintext, by arithmetic
	Metadata     *envelope.Metadata // nil: not written by s3proxy, or by the older s3proxy
	Legacy       bool               // written by the older s3proxy, according to its header

	objects *Objects
	stored  *Stored
}

// Answer are the headers of the store's answer.
func (i *Inspection) Answer() http.Header { return i.stored.Header }

// Inspect asks the store for the headers of an object, or of one version if versionID is not empty.
// It needs no key and no running proxy.
func Inspect(ctx context.Context, store *upstream.Client, bucket, key, versionID string) (*Inspection, error) {
	o := New(Settings{Upstream: store, AllowPlaintextReads: true}, state.Place{}, NewCache())
	o.tellOnly = true
	b, k, v, err := ParseRef(bucket, key, versionID)
	if err != nil {
		return nil, err
	}
	resp, err := store.Do(ctx, &upstream.Request{Method: http.MethodHead, Bucket: b, Key: k, VersionID: v})
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	s, err := o.ReadStored(b, k, false, resp)
	if err != nil {
		return nil, err
	}
	if versionID != "" {
		s.Version = v
	}
	return &Inspection{
		Bucket: bucket, Key: key, ETag: s.UpstreamETag, LastModified: resp.Header.Get("Last-Modified"),
		StoredBytes: s.Bytes, Size: s.Size, Metadata: s.Meta, Legacy: s.Meta == nil && legacy.Marked(s.Header), objects: o, stored: s,
	}, nil
}

// OldContents opens the header of an object written by the older s3proxy.
func (i *Inspection) OldContents(b Settings) (*legacy.Object, error) {
	if b.Legacy == nil {
		return nil, legacy.ErrNoKey
	}
	return b.Legacy.Open(i.stored.Header, i.StoredBytes)
}

// Contents opens the object's key with the settings of its bucket, and reads what only the key
// reveals: the facts in the metadata, and the trailer. The trailer is nil for an empty object,
// which has none.
func (i *Inspection) Contents(ctx context.Context, b Settings) (envelope.Facts, *envelope.Trailer, error) {
	i.objects.Settings = b
	dek, facts, err := i.objects.Unlock(ctx, i.stored)
	if err != nil {
		return envelope.Facts{}, nil, err
	}
	defer dek.Destroy()
	if i.Metadata.Kind == envelope.KindEmpty {
		return facts, nil, err
	}
	trailer, err := i.objects.Trailer(ctx, i.stored, dek)
	return facts, trailer, err
}
