package proxy

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

// tagOf gives an object's ETag from the facts in its metadata and from its trailer,
// as far as they were read. known is false when only the trailer can tell and t is
// nil. Mode opaque needs neither.
func (o *objects) tagOf(s *stored, facts envelope.Facts, t *envelope.Trailer) (tag entityTag, known bool) {
	switch {
	case o.ETag != ETagMD5:
		return opaqueTag(s.etag), true
	case s.meta == nil:
		return entityTag{shown: s.etag, upstream: s.etag, plain: true}, true
	case s.meta.Kind == envelope.KindEmpty:
		nothing := md5.Sum(nil)
		return o.md5Tag(s.etag, nothing[:]), true
	case s.meta.Kind == envelope.KindSingle && len(facts.MD5) > 0:
		return o.md5Tag(s.etag, facts.MD5), true
	case t == nil:
		return opaqueTag(s.etag), false
	case t.Kind == envelope.KindMultipart:
		if shown := multipartMD5(t.Parts); shown != "" {
			return entityTag{shown: shown, upstream: s.etag, plain: true}, true
		}
	}
	return o.md5Tag(s.etag, t.Facts.MD5), true
}

// md5Tag is the ETag of an object of one PUT with this MD5, which is empty where it
// is not known.
func (o *objects) md5Tag(upstream string, sum []byte) entityTag {
	if o.ETag != ETagMD5 || len(sum) == 0 {
		return opaqueTag(upstream)
	}
	return entityTag{shown: o.ETag.show(upstream, sum), upstream: upstream, plain: true}
}

// objectETag gives the ETag of a stored object, the same that PUT has answered. In
// mode md5 it opens the object's key and, where the metadata does not have the MD5,
// reads the trailer. An object whose MD5 nobody knows (it was written in mode
// opaque) has the opaque one.
func (o *objects) objectETag(ctx context.Context, s *stored) (entityTag, error) {
	if tag, known := o.tagOf(s, envelope.Facts{}, nil); known {
		return tag, nil
	}
	dek, facts, err := o.unlock(ctx, s)
	if err != nil {
		return entityTag{}, err
	}
	defer dek.Destroy()
	if tag, known := o.tagOf(s, facts, nil); known {
		return tag, nil
	}
	t, err := o.trailer(ctx, s, dek)
	if err != nil {
		return entityTag{}, err
	}
	tag, _ := o.tagOf(s, t.Facts, t)
	return tag, nil
}

// tagAt asks the store for an object, or for one version of it, and gives its ETag.
// One that cannot be read has its opaque ETag: what stands in the way of reading it
// is no reason to refuse that it is replaced or deleted.
//
// In mode md5 the store is asked twice. versitygw 1.8 reads metadata and ETag of an
// object one after the other: in the middle of an overwrite one answer has those of
// two states, and a condition would hold for the wrong one. Two equal answers, one
// after the other, are of one state.
func (o *objects) tagAt(ctx context.Context, bucket s3name.Bucket, key s3name.Key, version s3name.VersionID, unsigned bool) (entityTag, error) {
	head := func() (*http.Response, error) {
		resp, err := o.Upstream.Do(ctx, &upstream.Request{Method: http.MethodHead, Bucket: bucket, Key: key, VersionID: version, Unsigned: unsigned})
		if err == nil {
			resp.Body.Close()
		}
		return resp, err
	}
	first, err := head()
	if err != nil {
		return entityTag{}, err
	}
	for range maxResolves {
		again := first
		if o.ETag == ETagMD5 {
			if again, err = head(); err != nil {
				return entityTag{}, err
			}
		}
		if !sameState(first, again) {
			first = again
			continue
		}
		tag, err := o.tagIn(ctx, bucket, key, unsigned, first)
		switch {
		case errors.Is(err, errChanged):
			if first, err = head(); err != nil {
				return entityTag{}, err
			}
			continue
		case unreadable(err):
			return opaqueTag(first.Header.Get("Etag")), nil
		}
		return tag, err
	}
	return entityTag{}, s3err.ConditionalRequestConflict.Because(errChanged)
}

// sameState tells whether two answers are about one state of an object. Each write
// has a key, and so a commitment, of its own.
func sameState(a, b *http.Response) bool {
	for _, name := range []string{"Etag", metaHeaderPrefix + "Commit"} {
		if a.Header.Get(name) != b.Header.Get(name) {
			return false
		}
	}
	return a.ContentLength == b.ContentLength
}

// tagIn gives the ETag of the object that an answer of the store tells of.
func (o *objects) tagIn(ctx context.Context, bucket s3name.Bucket, key s3name.Key, unsigned bool, resp *http.Response) (entityTag, error) {
	s, err := o.readStored(bucket, key, unsigned, resp)
	if err != nil {
		return entityTag{}, err
	}
	return o.objectETag(ctx, s)
}

// unreadable tells whether err is about the object itself: asking again would not help.
func unreadable(err error) bool {
	var format *envelope.FormatError
	var s3 *s3err.Error
	switch {
	case errors.As(err, &s3):
		return s3.Status < http.StatusInternalServerError
	case errors.Is(err, envelope.ErrNotEncrypted), errors.As(err, &format):
		return true
	}
	return damaged(err)
}
