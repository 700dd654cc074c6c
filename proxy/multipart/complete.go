package multipart

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// Wanted is what a client asks for in a Complete.
type Wanted struct {
	Parts    s3xml.CompletedParts // CheckList has passed them
	Size     int64                // of the object's plaintext in bytes; -1: not given
	Checksum envelope.Checksum    // of the object; zero: not given
	Type     envelope.ChecksumType
	// Header returns the headers for the store's Complete. It is called in each try. resolved says
	// that the conditions among them belong to an object that may change, so that a refusal because
	// of them need not be meant for the client.
	Header func(context.Context) (h http.Header, resolved bool, err error)
}

// Completed is the object that an upload became.
type Completed struct {
	Header  http.Header // of the store's answer: version, expiration
	ETag    string      // the store's
	Trailer *envelope.Trailer
}

// Complete ends an upload: every listed part must be known to the store and have a record, the
// trailer is sent as the last part, and the store combines all of them. No part that a client sent
// is overwritten. Therefore a repeated request, on any replica and after any failure, does the same
// again, and yields the same object as long as that is at its key.
func (a *Uploads) Complete(ctx context.Context, t Target, id s3name.UploadID, wanted Wanted) (*Completed, error) {
	a.remember(t.Bucket)
	// One at a time in this process, because each would replace the other's trailer.
	release, err := a.completing.acquire(ctx, t.name(id))
	if err != nil {
		return nil, err
	}
	defer release()
	u, err := a.Open(ctx, t, id)
	if errors.Is(err, s3err.NoSuchUpload) {
		// The state is gone, because of an Abort or a Complete that succeeded.
		return (&completion{Upload: a.upload(t, id), wanted: wanted}).earlier(ctx, err)
	}
	if err != nil {
		return nil, err
	}
	defer u.Close()
	c := &completion{Upload: u, wanted: wanted}
	return c.run(ctx)
}

// completion is a Complete in progress.
type completion struct {
	*Upload
	wanted   Wanted
	resolved bool // see Wanted.Header
}

// maxCompleteTries limits how often a Complete starts over because another request for the same
// upload, at another replica, came between its steps.
const maxCompleteTries = 8

// maxInternalErrors is the same for internal errors of the store.
const maxInternalErrors = 4

// run goes through the steps. In each try it checks the client's request again, because parts may
// be sent again meanwhile.
func (c *completion) run(ctx context.Context) (*Completed, error) {
	for try := range maxCompleteTries {
		done, err := c.try(ctx)
		if errors.Is(err, s3err.NoSuchUpload) {
			c.all.forgetEnded(c.name(), err)
			done, err = c.await(ctx, err)
		}
		// versitygw 1.8 has an internal error if another request ends the upload.
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

func (c *completion) try(ctx context.Context) (*Completed, error) {
	sent, err := c.sentParts(ctx, c.ranges())
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
		// versitygw 1.8 hides the upload while it completes it: a sweep that comes then must start
		// counting again.
		stateBucket, folder := c.folder()
		if err := c.State().Remove(ctx, stateBucket, folder+goneMark); err != nil {
			return nil, during(stepForgetGone, err)
		}
	}
	list, err := c.sendTrailer(ctx, sent, parts, trailer)
	if err != nil {
		return nil, err
	}
	return c.complete(ctx, list, trailer)
}

// sendTrailer sends the trailer as a separate part, and returns the list that makes the object from
// it and the chosen parts. If the last part is too small to precede another one, or is not in the
// store's upload, it is sent together with the trailer.
func (c *completion) sendTrailer(ctx context.Context, sent *sentParts, parts []partRecord, trailer *envelope.Trailer) (s3xml.CompleteUpload, error) {
	list := s3xml.CompleteUpload{Xmlns: s3xml.Namespace}
	sealed, err := c.dek.SealTrailer(trailer)
	if err != nil {
		return list, during(stepSendTrailer, err)
	}
	last := parts[len(parts)-1]
	number := sent.free(last.Part.Number + 1)
	req := &upstream.Request{Bytes: sealed}
	if last.Part.Size < envelope.MinPartSize || last.Part.Number == envelope.MaxParts {
		parts = parts[:len(parts)-1]
		if last.Part.Number == envelope.MaxParts {
			number = envelope.MaxParts
		}
		body, err := c.keptBody(ctx, last)
		if errors.Is(err, s3err.NoSuchKey) {
			return list, c.unlessEnded(ctx, during(stepSendTrailer, fmt.Errorf("%w: %w", errAgain, err)))
		}
		if err != nil {
			return list, during(stepSendTrailer, err)
		}
		defer body.Close()
		req = &upstream.Request{Body: io.MultiReader(body, bytes.NewReader(sealed)), Length: envelope.StoredPartSize(last.Part.Size) + int64(len(sealed))}
	}
	etag, err := c.store.Part(ctx, number, req)
	if err != nil {
		return list, during(stepSendTrailer, err)
	}
	for _, p := range parts {
		list.Add(p.Part.Number, p.ETag)
	}
	list.Add(number, etag)
	return list, nil
}

// keptBody opens the body of a part that is sent again with the trailer after it.
func (u *Upload) keptBody(ctx context.Context, p partRecord) (io.ReadCloser, error) {
	stateBucket, folder := u.folder()
	name := p.name
	if p.Part.Number == envelope.MaxParts {
		name = bodyOf(p.Part)
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

// complete asks the store to combine the parts, and makes sure that it has: a 200 may contain an
// error, and versitygw 1.8 answers 200 for any upload that is gone if there is an object at the
// key.
func (c *completion) complete(ctx context.Context, list s3xml.CompleteUpload, trailer *envelope.Trailer) (*Completed, error) {
	h, resolved, err := c.wanted.Header(ctx)
	if err != nil {
		return nil, err
	}
	c.resolved = resolved
	result, header, err := c.store.Complete(ctx, list, h)
	if err != nil {
		return nil, c.completeFailure(err)
	}
	// A store that returns the checksum of the whole object has combined it; versitygw 1.8 returns
	// none if it only finds that the upload is gone.
	proven := len(checksum.Given(&result.Checksums)) > 0
	return c.confirm(ctx, &Completed{Header: header, ETag: result.ETag, Trailer: trailer}, proven)
}

// completeFailure turns the store's refusal into the client's. What the store says about parts is
// about ours, so they are checked again.
func (c *completion) completeFailure(err error) error {
	if c.resolved && errors.Is(err, s3err.PreconditionFailed) {
		return fmt.Errorf("%w: %w", errAgain, err) // which also checks its conditions again
	}
	for _, again := range []*s3err.Error{s3err.InvalidPart, s3err.InvalidPartOrder, s3err.EntityTooSmall} {
		if errors.Is(err, again) {
			return fmt.Errorf("%w: %w", errAgain, err)
		}
	}
	return during(stepComplete, err)
}
