package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// objects reads what the store has of the objects of a bucket; the proxy's handlers and the
// commands that need no proxy share it.
type objects struct {
	Bucket
	state   state.Place
	cache   *objectCache
	uploads *uploadCache
}

// own is where the proxy keeps its own objects of the bucket.
func (o *objects) own() state.Store { return state.Store{Client: o.Upstream, Place: o.state} }

// keyBucket is the bucket that the keys of its objects are bound to.
func (o *objects) keyBucket(bucket s3name.Bucket) string {
	if o.Origin != "" {
		return o.Origin
	}
	return bucket.String()
}

// stored is what one answer of the store (HEAD or GET) tells of an object.
type stored struct {
	bucket   s3name.Bucket
	key      s3name.Key
	version  s3name.VersionID // of the state that the answer is about; zero where the store names none
	asked    s3name.VersionID // what was asked for; zero for the current state
	header   http.Header
	etag     string             // the store's own
	bytes    int64              // ciphertext bytes of the whole object
	meta     *envelope.Metadata // nil for a plaintext object that may be read
	size     int64              // plaintext bytes: the store's word until unlock
	unsigned bool               // asked for as anonymous; further requests are too
}

// readStored understands the store's answer about an object. Its size is the store's word
// until unlock has compared it.
func (o *objects) readStored(bucket s3name.Bucket, key s3name.Key, unsigned bool, resp *http.Response) (*stored, error) {
	s := &stored{bucket: bucket, key: key, unsigned: unsigned, header: resp.Header, etag: resp.Header.Get("Etag")}
	var err error
	if s.version, err = upstream.AnsweredVersion(resp.Header); err != nil {
		return nil, err
	}
	if resp.Request != nil {
		if _, s.asked, err = s3name.TakeIDs(resp.Request.URL.Query()); err != nil {
			return nil, err
		}
	}
	if s.version == (s3name.VersionID{}) { // not every store repeats what it was asked for
		s.version = s.asked
	}
	if s.bytes, err = upstream.WholeSize(resp); err != nil {
		return nil, err
	}
	if s.bytes < 0 {
		return nil, fmt.Errorf("%w: the store gave no size", upstream.ErrStored)
	}
	if resp.Header.Get("X-Amz-Missing-Meta") != "" {
		return nil, fmt.Errorf("%w: the store left out metadata (x-amz-missing-meta)", envelope.ErrMetadata)
	}
	fields, err := metadataFields(resp.Header)
	if err != nil {
		return nil, err
	}
	meta, err := envelope.ParseMetadata(fields)
	if errors.Is(err, envelope.ErrNotEncrypted) && o.AllowPlaintextReads {
		s.size = s.bytes
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	s.meta = meta
	if meta.Kind == envelope.KindEmpty {
		if s.bytes != 0 {
			return nil, fmt.Errorf("%w: an object of kind empty has %d bytes", upstream.ErrStored, s.bytes)
		}
		return s, nil
	}
	size, ok := envelope.PlainSize(s.bytes)
	if !ok {
		return nil, fmt.Errorf("%w: no object has %d stored bytes", upstream.ErrStored, s.bytes)
	}
	s.size = size
	return s, nil
}

// unlock unwraps the object's data key and opens the facts in its metadata: what every
// reader does before it believes a size. The caller destroys the key. It refuses an object
// whose stored size is not that of the sealed one, and one whose key is another than was seen
// with its ETag before. Of a multipart object the trailer has the size.
func (o *objects) unlock(ctx context.Context, s *stored) (*envelope.DEK, envelope.Facts, error) {
	dek, err := o.Keyring.OpenKey(ctx, kms.Name{Bucket: o.keyBucket(s.bucket), Key: s.key.String(), Kind: s.meta.Kind}, s.meta)
	if err != nil {
		return nil, envelope.Facts{}, err
	}
	facts, err := dek.OpenFacts(s.meta.Kind, s.bytes, s.meta.Facts)
	if err == nil {
		err = o.cache.sameKey(s, false)
	}
	if err != nil {
		dek.Destroy()
		return nil, envelope.Facts{}, err
	}
	return dek, facts, nil
}

// trailer reads and opens the object's trailer, or takes it from the cache.
// The read carries If-Match, so that it is of the same object.
func (o *objects) trailer(ctx context.Context, s *stored, dek *envelope.DEK) (*envelope.Trailer, error) {
	if t := o.cache.trailers.get(trailerOf(s)); t != nil {
		return t, nil
	}
	t, err := openTrailer(dek, s.meta.Kind, s.bytes, func(n int64) ([]byte, error) { return o.readSuffix(ctx, s, n) })
	if err != nil {
		return nil, err
	}
	return t, o.cache.prove(s, t)
}

// openTrailer opens the end of an object of so many stored bytes; suffix gives the
// last n of them, and is asked twice when the first guess was too short.
func openTrailer(dek *envelope.DEK, kind envelope.Kind, stored int64, suffix func(n int64) ([]byte, error)) (*envelope.Trailer, error) {
	want := int64(envelope.TrailerGuess)
	if n, ok := envelope.PlainSize(stored); ok {
		// More parts only make it shorter: no trailer is longer than a single object's.
		want = min(want, stored-envelope.StoredPartSize(n))
	}
	for try := 0; try < 2; try++ {
		end, err := suffix(min(want, stored))
		if err != nil {
			return nil, err
		}
		t, err := dek.OpenTrailer(kind, stored, end)
		var more *envelope.NeedMore
		if errors.As(err, &more) && more.Bytes > int64(len(end)) && more.Bytes <= stored {
			want = more.Bytes
			continue
		}
		return t, err
	}
	return nil, fmt.Errorf("%w: the part table's length changed", envelope.ErrTrailer)
}

// readSuffix reads the last n bytes of a stored object.
func (o *objects) readSuffix(ctx context.Context, s *stored, n int64) ([]byte, error) {
	resp, err := o.getRange(ctx, s, s.bytes-n, n)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	suffix := make([]byte, n)
	if _, err := io.ReadFull(resp.Body, suffix); err != nil {
		return nil, fmt.Errorf("%w: the trailer: %w", envelope.ErrTruncated, err)
	}
	return suffix, nil
}

// getRange asks the store for n bytes from offset of the very object that s tells of.
func (o *objects) getRange(ctx context.Context, s *stored, offset, n int64) (*http.Response, error) {
	h := http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", offset, offset+n-1)}}
	if s.etag != "" {
		h.Set("If-Match", s.etag)
	}
	resp, err := o.Upstream.Do(ctx, &upstream.Request{Method: http.MethodGet, Bucket: s.bucket, Key: s.key, VersionID: s.version, Header: h, Unsigned: s.unsigned})
	// Some stores look at the range first: the object had these bytes a moment ago.
	if errors.Is(err, s3err.PreconditionFailed) || errors.Is(err, s3err.InvalidRange) {
		return nil, errReplaced
	}
	if err != nil {
		return nil, err
	}
	whole := offset == 0 && n == s.bytes && resp.StatusCode == http.StatusOK
	if !whole && resp.StatusCode != http.StatusPartialContent || resp.ContentLength != n {
		resp.Body.Close()
		return nil, fmt.Errorf("%w: the store answered a range of %d bytes with status %d and %d bytes", upstream.ErrStored, n, resp.StatusCode, resp.ContentLength)
	}
	return resp, nil
}

// errChanged says that an object was replaced between two requests of one read.
var errChanged = errors.New("the object was replaced between two requests")

// errReplaced is what the client is told of it.
var errReplaced = s3err.ServiceUnavailable.WithMessage("The object was replaced while it was read; please try again.").Because(errChanged)

// sameAs tells whether two answers are about one state of an object. Each write has a
// key, and so a commitment, of its own.
func (s *stored) sameAs(o *stored) bool {
	if s.meta == nil || o.meta == nil {
		return s.meta == o.meta && s.etag == o.etag
	}
	return s.meta.Commitment == o.meta.Commitment
}
