package object

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/legacy"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// Objects reads the objects of a bucket from the store. The proxy's handlers share it with the
// commands that need no proxy.
type Objects struct {
	Settings
	Place state.Place
	cache *Cache
	// tellOnly says that only headers are read, so that no key for old objects is needed.
	tellOnly bool
}

// New returns the objects of a bucket. All buckets of a process may share a cache. place may be
// zero if no state objects are read or written.
func New(b Settings, place state.Place, cache *Cache) *Objects {
	b.Limits = b.Limits.orDefault()
	return &Objects{Settings: b, Place: place, cache: cache}
}

// State is where the proxy keeps the state objects of the bucket.
func (o *Objects) State() state.Store { return state.Store{Client: o.Upstream, Place: o.Place} }

// KeyBucket is the bucket name to which the keys of the bucket's objects are bound.
func (o *Objects) KeyBucket(bucket s3name.Bucket) string {
	if o.Origin != "" {
		return o.Origin
	}
	return bucket.String()
}

// Stored is what one answer of the store (HEAD or GET) says about an object.
type Stored struct {
	Bucket       s3name.Bucket
	Key          s3name.Key
	Version      s3name.VersionID // of the state that the answer is about; zero if the store names none
	asked        s3name.VersionID // the requested version; zero for the current state
	Header       http.Header
	UpstreamETag string             // the store's own
	Bytes        int64              // ciphertext bytes of the whole object
	Meta         *envelope.Metadata // nil for a readable object that is not of format 1
	Legacy       *legacy.Object     // for old objects, which have no Meta; nil for all others
	Size         int64              // plaintext bytes: until Unlock, only the store's word
	unsigned     bool               // requested anonymously; further requests are anonymous, too
}

// ReadStored reads the store's answer about an object. Its size must not be trusted before Unlock
// has checked it.
func (o *Objects) ReadStored(bucket s3name.Bucket, key s3name.Key, unsigned bool, resp *http.Response) (*Stored, error) {
	s := &Stored{Bucket: bucket, Key: key, unsigned: unsigned, Header: resp.Header, UpstreamETag: resp.Header.Get("Etag")}
	var err error
	if s.Version, err = upstream.AnsweredVersion(resp.Header); err != nil {
		return nil, err
	}
	if resp.Request != nil {
		if _, s.asked, err = s3name.TakeIDs(resp.Request.URL.Query()); err != nil {
			return nil, err
		}
	}
	if s.Version == (s3name.VersionID{}) { // not every store repeats the requested version
		s.Version = s.asked
	}
	if s.Bytes, err = upstream.WholeSize(resp); err != nil {
		return nil, err
	}
	if s.Bytes < 0 {
		return nil, fmt.Errorf("%w: the store gave no size", upstream.ErrStored)
	}
	if resp.Header.Get("X-Amz-Missing-Meta") != "" {
		return nil, fmt.Errorf("%w: the store left out metadata (x-amz-missing-meta)", envelope.ErrMetadata)
	}
	fields, err := MetadataFields(resp.Header)
	if err != nil {
		return nil, err
	}
	meta, err := envelope.ParseMetadata(fields)
	if errors.Is(err, envelope.ErrNotEncrypted) {
		return o.readOther(s, err)
	}
	if err != nil {
		return nil, err
	}
	s.Meta = meta
	if meta.Kind == envelope.KindEmpty {
		if s.Bytes != 0 {
			return nil, fmt.Errorf("%w: an object of kind empty has %d bytes", upstream.ErrStored, s.Bytes)
		}
		return s, nil
	}
	size, ok := envelope.PlainSize(s.Bytes)
	if !ok {
		return nil, fmt.Errorf("%w: no object has %d stored bytes", upstream.ErrStored, s.Bytes)
	}
	s.Size = size
	return s, nil
}

// Unlock unwraps the object's data key and opens the facts in its metadata. Every reader does this
// before it trusts a size. The caller destroys the key. Unlock refuses an object whose stored size
// is not the sealed one, and an object whose key is not the one that was seen with its ETag before.
// The size of a multipart object is in its trailer.
func (o *Objects) Unlock(ctx context.Context, s *Stored) (*envelope.DEK, envelope.Facts, error) {
	dek, err := o.Keyring.OpenKey(ctx, kms.Name{Bucket: o.KeyBucket(s.Bucket), Key: s.Key.String(), Kind: s.Meta.Kind}, s.Meta)
	if err != nil {
		return nil, envelope.Facts{}, err
	}
	facts, err := dek.OpenFacts(s.Meta.Kind, s.Bytes, s.Meta.Facts)
	if err == nil {
		err = o.cache.sameKey(s, false)
	}
	if err != nil {
		dek.Destroy()
		return nil, envelope.Facts{}, err
	}
	return dek, facts, nil
}

// GetRange asks the store for n bytes from offset of the very object that s describes.
func (o *Objects) GetRange(ctx context.Context, s *Stored, offset, n int64) (*http.Response, error) {
	h := http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", offset, offset+n-1)}}
	if s.UpstreamETag != "" {
		h.Set("If-Match", s.UpstreamETag)
	}
	resp, err := o.Upstream.Do(ctx, &upstream.Request{Method: http.MethodGet, Bucket: s.Bucket, Key: s.Key, VersionID: s.Version, Header: h, Unsigned: s.unsigned})
	// Some stores check the range before the condition: the object had these bytes a moment ago.
	if errors.Is(err, s3err.PreconditionFailed) || errors.Is(err, s3err.InvalidRange) {
		return nil, ErrReplaced
	}
	if err != nil {
		return nil, err
	}
	whole := offset == 0 && n == s.Bytes && resp.StatusCode == http.StatusOK
	if !whole && resp.StatusCode != http.StatusPartialContent || resp.ContentLength != n {
		resp.Body.Close()
		return nil, fmt.Errorf("%w: the store answered a range of %d bytes with status %d and %d bytes", upstream.ErrStored, n, resp.StatusCode, resp.ContentLength)
	}
	return resp, nil
}

// SameAs reports whether two answers are about one state of an object. Each write has its own key,
// and therefore its own commitment.
func (s *Stored) SameAs(o *Stored) bool {
	if s.Meta == nil || o.Meta == nil {
		return s.Meta == o.Meta && s.UpstreamETag == o.UpstreamETag
	}
	return s.Meta.Commitment == o.Meta.Commitment
}
