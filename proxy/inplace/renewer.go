package inplace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/legacy"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// Errors of Renewer.Renew that callers handle, besides ErrNoConditions.
var (
	// ErrArchived says that the store returns the bytes only after they are restored.
	ErrArchived = errors.New("the object is archived: it has to be restored first")
)

// Renewal is one state of an object that is to be written again under its own name.
type Renewal struct {
	// Meta is our metadata, nil for what is not of format 1. What the change leaves here is written.
	Meta *envelope.Metadata
	// Old is what the header of an object of the older s3proxy says; nil for all others.
	Old *legacy.Object
	// DEK is its key, open until the change returns; nil for plaintext.
	DEK *envelope.DEK
	// Stored is the object's size in the store, in bytes.
	Stored int64
	// Header has all headers with which the object is written.
	Header http.Header
	// Body, if not nil, makes new stored bytes, Length of them, from the old ones.
	Body   func(old io.Reader) io.Reader
	Length int64

	checksum envelope.Checksum // of the whole object, if it is plaintext and the store reports one
	facts    envelope.Facts    // of its metadata
	trailer  *envelope.Trailer // nil for plaintext, and for an object of no bytes
	plain    *plaintext        // says how to write a Body of plaintext; nil for a sealed Body
}

// Renewer writes objects again under their own names, beside clients that write them.
type Renewer struct {
	objects *object.Objects
	// OnlyWriter says that nobody else writes, so that a store without conditions is good enough.
	OnlyWriter bool
}

// NewRenewer makes a Renewer for buckets with these settings. It sends no request.
func NewRenewer(b object.Settings, at state.Place) *Renewer {
	return &Renewer{objects: object.New(b, at, object.NewCache())}
}

// Renew reads the current state of an object, calls change, which decides what to write, and writes
// that if the object is still in the same state; otherwise it starts over, and calls change again.
// Writes by others win. It keeps content headers, user metadata, tags, storage class, legal hold, a
// retention that is not over, redirect, the store's own encryption, and ACL. Without a new Body it
// keeps the bytes, and with them the ETag, by the same PUT or the same parts.
//
// A write by another that leaves the ETag as it was (of an empty object, or of a copy that is
// repeated inside the store) is noticed only by the recheck. It is lost if it falls between the
// recheck and the store's own commit.
//
// Errors: ErrRaced, ErrLocked, ErrArchived, ErrNoConditions, s3err.NoSuchKey, those of reading a
// damaged object, and those of change, which end the renewal.
func (r *Renewer) Renew(ctx context.Context, bucket, key string, change func(context.Context, *Renewal) error) error {
	return r.RenewSeen(ctx, bucket, key, nil, change)
}

// RenewSeen is Renew where the caller has just asked for the object with a HEAD, and was answered
// with the headers in seen. That spares one of the two with which the renewal begins.
func (r *Renewer) RenewSeen(ctx context.Context, bucket, key string, seen http.Header, change func(context.Context, *Renewal) error) error {
	at, k, _, err := object.ParseRef(bucket, key, "")
	if err != nil {
		return err
	}
	if !r.OnlyWriter {
		if err := DemandConditions(ctx, r.objects, at); err != nil {
			return err
		}
	}
	for try := range MaxTries {
		if err := upstream.Wait(ctx, time.Duration(try)*20*time.Millisecond); err != nil {
			return err
		}
		err = r.once(ctx, at, k, seen, change)
		seen = nil
		if errors.Is(err, s3err.InvalidObjectState) {
			return fmt.Errorf("%w: %w", ErrArchived, err)
		}
		replaced := errors.Is(err, object.ErrChanged) || errors.Is(err, s3err.PreconditionFailed) || errors.Is(err, s3err.ConditionalRequestConflict)
		mixed := object.Damaged(err) || errors.Is(err, s3err.BadDigest) // perhaps a mix of two states
		if !replaced && (!mixed || try == MaxDamagedTries) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", state.ErrRaced, err)
}

func (r *Renewer) once(ctx context.Context, bucket s3name.Bucket, key s3name.Key, seen http.Header, change func(context.Context, *Renewal) error) error {
	src, err := r.find(ctx, bucket, key, seen)
	if err != nil {
		return err
	}
	n := &Renewal{Meta: src.Meta, Old: src.Legacy, Stored: src.Bytes, Header: preservedHeaders(src.Stored)}
	if src.Meta == nil {
		n.checksum = checksum.OfHeader(src.Header)
	} else {
		var facts envelope.Facts
		if n.DEK, facts, err = src.Unlock(ctx, src.Stored); err != nil {
			return err
		}
		defer n.DEK.Destroy()
		n.facts = facts
		if n.trailer, err = src.Prove(ctx, n.DEK); err != nil {
			return err
		}
	}
	tags, err := src.Tags(ctx)
	if err != nil {
		return err
	}
	if tags != "" {
		n.Header.Set("X-Amz-Tagging", tags)
	}
	if err := src.grants(ctx, n.Header); err != nil {
		return err
	}
	if err := change(ctx, n); err != nil {
		return err
	}
	if n.Meta != nil {
		fields, err := n.Meta.Encode()
		if err != nil {
			return err
		}
		for name, value := range fields {
			n.Header[object.MetaPrefix+name] = []string{value}
		}
	}
	n.Header.Set("If-Match", src.UpstreamETag)
	if err = src.write(ctx, n); err == nil {
		return nil
	}
	if status, refused := upstream.Status(err); refused && status == http.StatusForbidden && src.Locked() && !errors.Is(err, s3err.InvalidObjectState) {
		return fmt.Errorf("%w: %w", state.ErrLocked, err)
	}
	return err
}

func (src *Source) write(ctx context.Context, n *Renewal) error {
	if n.Body == nil {
		_, _, err := src.Write(ctx, n.DEK, n.Header, nil)
		return err
	}
	var old io.Reader = http.NoBody
	if src.Bytes > 0 {
		resp, err := src.GetRange(ctx, src.Stored, 0, src.Bytes)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		old = resp.Body
	}
	body := n.Body(old)
	if sealed, ok := body.(io.Closer); ok { // whatever reads it closes it only when it has come to its end
		defer sealed.Close()
	}
	switch {
	case n.plain != nil:
		return src.writePlain(ctx, n, body)
	case n.Length <= src.Limits.Buffer:
		_, _, err := src.writeOver(ctx, n.Header, body, n.Length, nil)
		return err
	}
	// Different bytes have a different ETag in any case. Parts stream even if the store does not
	// let an object be read while it is written.
	return src.writePieces(ctx, n, body)
}

// find asks for an object twice: versitygw 1.8 reads the parts of a HEAD's answer one by one, so
// that in the middle of an overwrite one answer may mix two states. Two equal answers in a row
// belong to one state. before is the first of them, if there was one already.
func (r *Renewer) find(ctx context.Context, bucket s3name.Bucket, key s3name.Key, before http.Header) (*Source, error) {
	for range object.MaxTries {
		resp, err := r.head(ctx, bucket, key)
		if err != nil {
			return nil, err
		}
		if before == nil || !sameObject(before, resp.Header) {
			before = resp.Header
			continue
		}
		s, err := r.objects.ReadStored(bucket, key, false, resp)
		if errors.Is(err, envelope.ErrNotEncrypted) {
			s = &object.Stored{Bucket: bucket, Key: key, Header: resp.Header, UpstreamETag: resp.Header.Get("Etag"), Bytes: resp.ContentLength, Size: resp.ContentLength}
			s.Version, err = upstream.AnsweredVersion(resp.Header)
		}
		if err != nil {
			return nil, err
		}
		if s.UpstreamETag == "" {
			return nil, fmt.Errorf("%w: the store returns no ETag", ErrNoConditions)
		}
		return &Source{Objects: r.objects, Stored: s, Recheck: func(ctx context.Context) error {
			now, err := r.head(ctx, bucket, key)
			if err == nil && !sameObject(s.Header, now.Header) {
				return object.ErrChanged
			}
			return err
		}}, nil
	}
	return nil, object.ErrChanged
}

func (r *Renewer) head(ctx context.Context, bucket s3name.Bucket, key s3name.Key) (*http.Response, error) {
	resp, err := r.objects.Upstream.Do(ctx, &upstream.Request{Method: http.MethodHead, Bucket: bucket, Key: key, Header: http.Header{"X-Amz-Checksum-Mode": {"ENABLED"}}})
	if err != nil {
		return nil, err
	}
	return resp, resp.Body.Close()
}
