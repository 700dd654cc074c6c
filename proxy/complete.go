package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// completion is one CompleteMultipartUpload on its way.
type completion struct {
	*exchange
	u      *upload
	asked  s3xml.CompletedParts
	size   int64 // x-amz-mp-object-size; -1: not given
	digest envelope.Checksum
	kind   envelope.ChecksumType // x-amz-checksum-type

	resolved bool // the conditions sent are those of an object that may change
}

// completeMultipartUpload ends an upload: every listed part is known to the store
// and by a record, the trailer goes up as the last part, and the store puts all of
// them together. No part that a client sent is overwritten, so that a repeated
// request, on any replica and after any failure, does the same again.
func completeMultipartUpload(x *exchange) error {
	c, err := x.readCompletion()
	if err != nil {
		return err
	}
	x.remember()
	alive := x.keepAlive()
	done, err := c.run(x.r.Context())
	begun := alive.stop()
	if err != nil {
		if begun {
			return x.answerLate(x.asS3Error(err))
		}
		return err
	}
	out := s3xml.CompleteUploadResult{Xmlns: s3xml.Namespace, Location: x.location(x.key.String()), Bucket: x.bucket.String(), Key: s3xml.Text(x.key.String()), ETag: x.completedETag(done)}
	facts := done.trailer.Facts
	checksum.SetElement(&out.Checksums, facts.Checksum, len(done.trailer.Parts))
	out.ChecksumType = checksum.TypeName(facts.Checksum.Type)
	if begun {
		return x.answerXMLLate(out)
	}
	// Those of an upload that had ended before are the object's, and say nothing of this document.
	for _, name := range []string{"X-Amz-Version-Id", "X-Amz-Expiration", "X-Amz-Request-Charged"} {
		if v := done.header.Get(name); v != "" {
			x.w.Header().Set(name, v)
		}
	}
	x.passRequestID(done.header)
	x.tellEncryption(x.w.Header(), x.ETag == object.ETagMD5, done.header)
	return x.answerXML(out)
}

// completedETag is the ETag that HEAD will show.
func (x *exchange) completedETag(done *completed) string {
	if x.ETag == object.ETagMD5 {
		if tag := object.MultipartMD5(done.trailer.Parts); tag != "" {
			return tag
		}
	}
	return object.ClientETag(done.etag)
}

// readCompletion reads and checks what can be checked without the store.
func (x *exchange) readCompletion() (*completion, error) {
	ofBody := http.Header{}
	for _, name := range []string{"Content-Md5"} { // the rest is of the object
		if v := x.r.Header.Values(name); len(v) > 0 {
			ofBody[name] = v
		}
	}
	body, err := x.readDocumentOf(s3xml.MaxBytes, ofBody)
	if err != nil {
		return nil, err
	}
	c := &completion{exchange: x, size: -1}
	var in s3xml.CompleteUpload
	if err := s3xml.Unmarshal(body, &in); err != nil {
		return nil, x.refusedDocument(s3err.MalformedXML.Because(err))
	}
	if len(in.Parts) == 0 {
		return nil, x.refusedDocument(s3err.MalformedXML)
	}
	if err := checkList(in.Parts); err != nil {
		return nil, x.refusedDocument(err)
	}
	c.asked = in.Parts
	if text := x.r.Header.Get("X-Amz-Mp-Object-Size"); text != "" {
		c.size, err = strconv.ParseInt(text, 10, 64)
		switch {
		case err != nil:
			return nil, s3err.InvalidRequest.WithMessage("Value for x-amz-mp-object-size header is invalid: '%s'", text)
		case c.size < 0:
			return nil, s3err.InvalidRequest.WithMessage("Value for x-amz-mp-object-size header is less than zero: '%d'", c.size)
		}
	}
	if c.digest, err = checksum.ReadFinal(x.r.Header); err != nil {
		return nil, err
	}
	c.kind, err = checksum.ReadType(x.r.Header)
	return c, err
}

// maxCompleteTries bounds how often a Complete begins anew because another request
// for the same upload, at another replica, came between its steps.
const maxCompleteTries = 8

// maxInternalErrors is the same for an internal error of the store.
const maxInternalErrors = 4

// run goes through the steps. What the client asked for is checked anew in each
// try, since parts may be sent again meanwhile.
func (c *completion) run(ctx context.Context) (*completed, error) {
	// One at a time in this process: each would replace the other's trailer.
	release, err := c.completing.acquire(ctx, uploadName{c.bucket, c.key, c.uploadID})
	if err != nil {
		return nil, err
	}
	defer release()
	u, err := c.openUpload(ctx)
	if errors.Is(err, s3err.NoSuchUpload) {
		// The state is gone: by an Abort, or by a Complete that succeeded.
		return c.finishedBefore(ctx, err)
	}
	if err != nil {
		return nil, err
	}
	defer u.close()
	c.u = u
	for try := range maxCompleteTries {
		done, err := c.try(ctx)
		if errors.Is(err, s3err.NoSuchUpload) {
			c.forgetEnded(u, err)
			done, err = c.ended(ctx, err)
		}
		// versitygw 1.8 has an internal error where another request ends the upload.
		if errors.Is(err, errAgain) || errors.Is(err, s3err.InternalError) && try < maxInternalErrors {
			if err := upstream.Wait(ctx, time.Duration(rand.Int64N(int64(try+1)*int64(100*time.Millisecond)))); err != nil {
				return nil, err
			}
			continue
		}
		if err == nil {
			c.removeState(ctx)
		}
		return done, err
	}
	return nil, s3err.OperationAborted.Because(errors.New("other requests for this upload come between"))
}

// errAgain says that another request for the same upload came between two steps.
var errAgain = errors.New("the upload changed meanwhile")

func (c *completion) try(ctx context.Context) (*completed, error) {
	u := c.u
	sent, err := u.sentParts(ctx, rangesOf(c.asked))
	if err != nil {
		return nil, during(stepListParts, err)
	}
	parts, err := c.choose(sent)
	if errors.Is(err, s3err.InvalidPart) {
		return nil, c.unlessEnded(ctx, err)
	}
	if err != nil {
		return nil, err
	}
	trailer, err := c.trailer(parts)
	if err != nil {
		return nil, err
	}
	if sent.marked {
		// versitygw 1.8 hides the upload while it completes it: a sweep that comes
		// then must begin to count anew.
		stateBucket, folder := u.folder()
		if err := u.State().Remove(ctx, stateBucket, folder+goneMark); err != nil {
			return nil, during(stepForgetGone, err)
		}
	}
	sealed, err := u.dek.SealTrailer(trailer)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", stepSendTrailer, err)
	}
	list := s3xml.CompleteUpload{Xmlns: s3xml.Namespace}
	last := parts[len(parts)-1]
	number := last.Part.Number + 1
	// A part that the client sent and does not list, or is sending. Number 10,000
	// is never one: what stands there is the trailer of an earlier try. It is taken where
	// the store was not asked about the next ones.
	for number < envelope.MaxParts && sent.used[number] {
		number++
	}
	if number > sent.told {
		number = envelope.MaxParts
	}
	req := &upstream.Request{Bytes: sealed}
	again := last.Part.Size < envelope.MinPartSize || last.Part.Number == envelope.MaxParts
	if again {
		parts = parts[:len(parts)-1]
		if last.Part.Number == envelope.MaxParts {
			number = envelope.MaxParts
		}
		body, err := u.keptBody(ctx, last)
		if errors.Is(err, s3err.NoSuchKey) {
			return nil, c.unlessEnded(ctx, during(stepSendTrailer, fmt.Errorf("%w: %w", errAgain, err)))
		}
		if err != nil {
			return nil, during(stepSendTrailer, err)
		}
		defer body.Close()
		req = &upstream.Request{Body: io.MultiReader(body, bytes.NewReader(sealed)), Length: envelope.StoredPartSize(last.Part.Size) + int64(len(sealed))}
	}
	etag, err := u.Part(ctx, number, req)
	if err != nil {
		return nil, during(stepSendTrailer, err)
	}
	for _, p := range parts {
		list.Add(p.Part.Number, p.ETag)
	}
	list.Add(number, etag)
	return c.complete(ctx, list, trailer)
}

// unlessEnded gives err, or what says that the upload was ended meanwhile: its
// records go with it.
func (c *completion) unlessEnded(ctx context.Context, err error) error {
	u := c.u
	if _, gone := loadUpload(ctx, c.Objects, u.Bucket, u.Key, u.ID); errors.Is(gone, errNoState) {
		return s3err.NoSuchUpload.Because(gone)
	}
	if gone := u.IsThere(ctx); errors.Is(gone, s3err.NoSuchUpload) {
		return gone
	}
	return err
}

// keptBody opens the body of a part that is sent again with the trailer behind it.
func (u *upload) keptBody(ctx context.Context, p partRecord) (io.ReadCloser, error) {
	stateBucket, folder := u.folder()
	name := p.name
	if p.Part.Number == envelope.MaxParts {
		name = bodyPrefix + fmt.Sprintf("%x", p.Part.ID[:])
	}
	req, err := u.State().Request(http.MethodGet, stateBucket, folder+name)
	if err != nil {
		return nil, err
	}
	resp, err := u.Upstream.Do(ctx, req)
	if err != nil {
		return nil, err
	}
	if resp.ContentLength != envelope.StoredPartSize(p.Part.Size) {
		resp.Body.Close()
		return nil, fmt.Errorf("%w: the kept body of part %d has %d bytes", upstream.ErrStored, p.Part.Number, resp.ContentLength)
	}
	return resp.Body, nil
}

// complete asks the store to put the parts together, and makes sure that it has: a
// 200 may hold an error, and versitygw 1.8 answers 200 for any upload that is gone
// when an object stands at the key.
func (c *completion) complete(ctx context.Context, list s3xml.CompleteUpload, trailer *envelope.Trailer) (*completed, error) {
	u := c.u
	h := c.passedHeaders()
	if err := c.conditions(ctx, h); err != nil {
		return nil, err
	}
	result, header, err := u.Complete(ctx, list, h)
	if err != nil {
		return nil, c.completeFailure(err)
	}
	// Whoever says the checksum of the whole has put it together; versitygw 1.8 says
	// nothing of the kind when it only finds that the upload is gone.
	return c.confirm(ctx, header, result.ETag, trailer, len(checksum.Given(&result.Checksums)) > 0)
}

// completeFailure turns the store's refusal into the client's: what it says of the
// parts is of ours, so they are looked at again.
func (c *completion) completeFailure(err error) error {
	if c.resolved && errors.Is(err, s3err.PreconditionFailed) {
		return fmt.Errorf("%w: %w", errAgain, err) // and its conditions are looked at again
	}
	for _, again := range []*s3err.Error{s3err.InvalidPart, s3err.InvalidPartOrder, s3err.EntityTooSmall} {
		if errors.Is(err, again) {
			return fmt.Errorf("%w: %w", errAgain, err)
		}
	}
	return during(stepComplete, err)
}

// removeState removes the upload's state; what is left of it is swept later.
func (c *completion) removeState(ctx context.Context) {
	if err := c.u.removeRecords(ctx); err != nil {
		c.log.Warn("what is left of a completed upload is swept later", "bucket", c.u.Bucket, "error", during(stepRemoveRecords, err))
	}
	c.uploads.lru.Remove(uploadName{c.u.Bucket, c.u.Key, c.u.ID})
}

// conditions are the client's, translated for the store.
func (c *completion) conditions(ctx context.Context, h http.Header) error {
	var err error
	c.resolved, err = c.resolveConditions(ctx, h)
	return err
}

// completed is a finished object of an upload.
type completed struct {
	header  http.Header // of the store's answers: version, expiration
	etag    string      // the store's
	trailer *envelope.Trailer
}
