package object

import (
	"context"
	"crypto/md5"
	"errors"
	"net/http"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// TagOf returns an object's ETag from the facts in its metadata and from its trailer, as far as
// they were read. known is false if only the trailer can tell and t is nil. Mode opaque needs
// neither.
func (o *Objects) TagOf(s *Stored, facts envelope.Facts, t *envelope.Trailer) (tag ETag, known bool) {
	switch {
	case o.ETag != ETagMD5:
		return OpaqueETag(s.UpstreamETag), true
	case s.Legacy != nil:
		return o.MD5Tag(s.UpstreamETag, s.Legacy.MD5), true
	case s.Meta == nil:
		return ETag{Shown: s.UpstreamETag, Upstream: s.UpstreamETag, Plain: true}, true
	case s.Meta.Kind == envelope.KindEmpty:
		nothing := md5.Sum(nil)
		return o.MD5Tag(s.UpstreamETag, nothing[:]), true
	case s.Meta.Kind == envelope.KindSingle && len(facts.MD5) > 0:
		return o.MD5Tag(s.UpstreamETag, facts.MD5), true
	case t == nil:
		return OpaqueETag(s.UpstreamETag), false
	case t.Kind == envelope.KindMultipart:
		if shown := MultipartMD5(t.Parts); shown != "" {
			return ETag{Shown: shown, Upstream: s.UpstreamETag, Plain: true}, true
		}
	}
	return o.MD5Tag(s.UpstreamETag, t.Facts.MD5), true
}

// MD5Tag is the ETag of an object, written with one PUT, that has this MD5; sum is empty if the MD5
// is not known.
func (o *Objects) MD5Tag(upstream string, sum []byte) ETag {
	if o.ETag != ETagMD5 || len(sum) == 0 {
		return OpaqueETag(upstream)
	}
	return ETag{Shown: o.ETag.Show(upstream, sum), Upstream: upstream, Plain: true}
}

// ObjectETag returns the ETag of a stored object, the same with which its PUT was answered. In mode
// md5 it opens the object's key and, if the metadata lacks the MD5, reads the trailer. An object
// without an MD5, written in mode opaque, has the opaque ETag.
func (o *Objects) ObjectETag(ctx context.Context, s *Stored) (ETag, error) {
	if tag, known := o.TagOf(s, envelope.Facts{}, nil); known {
		return tag, nil
	}
	dek, facts, err := o.Unlock(ctx, s)
	if err != nil {
		return ETag{}, err
	}
	defer dek.Destroy()
	if tag, known := o.TagOf(s, facts, nil); known {
		return tag, nil
	}
	t, err := o.Trailer(ctx, s, dek)
	if err != nil {
		return ETag{}, err
	}
	tag, _ := o.TagOf(s, t.Facts, t)
	return tag, nil
}

// TagAt asks the store for an object, or for one version of it, and returns its ETag. An object
// that cannot be read has its opaque ETag, so that it can still be replaced or deleted.
//
// In mode md5 it asks the store twice. versitygw 1.8 reads an object's metadata and its ETag one
// after the other, so that in the middle of an overwrite one answer may mix two states, and a
// condition would hold for the wrong one. Two equal answers in a row belong to one state.
func (o *Objects) TagAt(ctx context.Context, bucket s3name.Bucket, key s3name.Key, version s3name.VersionID, unsigned bool) (ETag, error) {
	head := func() (*http.Response, error) {
		resp, err := o.Upstream.Do(ctx, &upstream.Request{Method: http.MethodHead, Bucket: bucket, Key: key, VersionID: version, Unsigned: unsigned})
		if err == nil {
			resp.Body.Close()
		}
		return resp, err
	}
	first, err := head()
	if err != nil {
		return ETag{}, err
	}
	for range MaxTries {
		again := first
		if o.ETag == ETagMD5 {
			if again, err = head(); err != nil {
				return ETag{}, err
			}
		}
		if !sameState(first, again) {
			first = again
			continue
		}
		tag, err := o.TagIn(ctx, bucket, key, unsigned, first)
		switch {
		case errors.Is(err, ErrChanged):
			if first, err = head(); err != nil {
				return ETag{}, err
			}
			continue
		case Unreadable(err):
			return OpaqueETag(first.Header.Get("Etag")), nil
		}
		return tag, err
	}
	return ETag{}, s3err.ConditionalRequestConflict.Because(ErrChanged)
}

// sameState reports whether two answers are about one state of an object. Each write has its own
// key, and therefore its own commitment.
func sameState(a, b *http.Response) bool {
	for _, name := range []string{"Etag", MetaHeaderPrefix + "Commit"} {
		if a.Header.Get(name) != b.Header.Get(name) {
			return false
		}
	}
	return a.ContentLength == b.ContentLength
}

// TagIn returns the ETag of the object that an answer of the store describes.
func (o *Objects) TagIn(ctx context.Context, bucket s3name.Bucket, key s3name.Key, unsigned bool, resp *http.Response) (ETag, error) {
	s, err := o.ReadStored(bucket, key, unsigned, resp)
	if err != nil {
		return ETag{}, err
	}
	return o.ObjectETag(ctx, s)
}

// MaxTries limits how often both requests are repeated because the object was replaced between
// them.
const MaxTries = 5
