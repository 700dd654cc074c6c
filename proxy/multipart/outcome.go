package multipart

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// outcome is the result of an upload, judged by its state and by the object at its key. The store's
// answer to a Complete proves neither success nor failure.
type outcome uint8

const (
	pending       outcome = iota // its state exists, and the object is another: its own may still appear
	made                         // the object is the upload's, with the parts in the client's list
	madeOtherwise                // the object is the upload's, with other parts
	ended                        // its state is gone, and the object is another: aborted, or overwritten since
)

// confirm checks, after the store answered 200, that the object at the key is this upload's, with
// this list. proven says that the store did combine it, so that any other object there was written
// later.
func (c *completion) confirm(ctx context.Context, done *Completed, proven bool) (*Completed, error) {
	became, err := c.look(ctx, done)
	switch {
	case became == made:
		return done, nil
	case became == madeOtherwise:
		return nil, err
	case became == pending && err != nil && !proven:
		return nil, err
	}
	if !proven {
		var failed error
		if proven, failed = c.probeFalse200(ctx); failed != nil {
			return nil, failed
		}
	}
	switch {
	case proven: // overwritten since, whoever removed the state meanwhile
		return done, nil
	case became == ended: // aborted, or completed by another request: run finds out
		return nil, err
	}
	for _, wait := range outcomeWaits {
		if err := upstream.Wait(ctx, wait); err != nil {
			return nil, err
		}
		if became, err := c.look(ctx, done); became == made || err != nil {
			return done, err
		}
	}
	if err := c.store.IsThere(ctx); err == nil {
		return nil, fmt.Errorf("%w: the store said 200 and did nothing", errAgain)
	} else if !errors.Is(err, s3err.NoSuchUpload) {
		return nil, during(stepCheckObject, err)
	}
	return nil, s3err.ServiceUnavailable.WithMessage("Whether this upload became the object is not known: another request completes it, or its object was overwritten since. Please try again.").
		Because(fmt.Errorf("%s: the store says 200 for any upload that it does not have", stepCheckObject))
}

// outcomeWaits are the pauses before each look whether the object is there.
var outcomeWaits = []time.Duration{0, 100 * time.Millisecond, 400 * time.Millisecond, time.Second, 2 * time.Second}

// await waits for the object of an upload that the store no longer has. While versitygw 1.8
// combines the parts for another request's Complete, it hides the upload, and shows it again if
// that fails: as long as the state exists, the object may still appear.
func (c *completion) await(ctx context.Context, gone error) (*Completed, error) {
	for _, wait := range outcomeWaits {
		if err := upstream.Wait(ctx, wait); err != nil {
			return nil, err
		}
		done, err := c.earlier(ctx, gone)
		if !errors.Is(err, s3err.NoSuchUpload) {
			return done, err
		}
		switch became, err := c.stateOnly(ctx); {
		case err != nil:
			return nil, err
		case became == ended: // perhaps because the object is complete
			return c.earlier(ctx, gone)
		}
	}
	return nil, gone
}

// unlessEnded returns err, or NoSuchUpload if the upload, and with it its records, was ended
// meanwhile.
func (c *completion) unlessEnded(ctx context.Context, err error) error {
	if _, gone := c.load(ctx); errors.Is(gone, ErrNoState) {
		return s3err.NoSuchUpload.Because(gone)
	}
	if gone := c.store.IsThere(ctx); errors.Is(gone, s3err.NoSuchUpload) {
		return gone
	}
	return err
}

// look finds out the outcome of the upload, whose object commits to its DEK. With madeOtherwise and
// ended it returns NoSuchUpload; with pending, an error if the look itself failed. With made, done
// gets the object's trailer and ETag.
func (c *completion) look(ctx context.Context, done *Completed) (outcome, error) {
	version, err := upstream.AnsweredVersion(done.Header)
	if err != nil {
		return pending, during(stepCheckObject, err)
	}
	s, err := c.Stat(ctx, c.Bucket, c.Key, version)
	if err != nil && !isNoObjectOfOurs(err) {
		return pending, during(stepCheckObject, err)
	}
	if err != nil || s.Meta == nil || s.Meta.Commitment != c.dek.Commitment() {
		became, err := c.stateOnly(ctx)
		if became == ended {
			err = s3err.NoSuchUpload.Because(ErrNoState)
		}
		return became, err
	}
	if etag := strings.Trim(done.ETag, `"`); multipartETag.MatchString(etag) && etag == strings.Trim(s.UpstreamETag, `"`) {
		return made, nil // with these parts, because no two trailers are the same
	}
	t, err := c.Objects.Trailer(ctx, s, c.dek)
	if errors.Is(err, object.ErrChanged) {
		return pending, nil // it was overwritten at this moment
	}
	if err != nil {
		return pending, during(stepCheckObject, err)
	}
	if !sameParts(t.Parts, done.Trailer.Parts) {
		return madeOtherwise, s3err.NoSuchUpload.Because(errors.New("the upload was completed with another list of parts"))
	}
	if done.Trailer = t; s.UpstreamETag != "" {
		done.ETag = s.UpstreamETag
	}
	return made, nil
}

// stateOnly distinguishes pending from ended.
func (c *completion) stateOnly(ctx context.Context) (outcome, error) {
	_, err := c.load(ctx)
	switch {
	case errors.Is(err, ErrNoState):
		return ended, nil
	case err != nil:
		return pending, during(stepCheckObject, err)
	}
	return pending, nil
}

// isNoObjectOfOurs reports whether a look at a key failed because there is no object of ours.
func isNoObjectOfOurs(err error) bool {
	return upstream.IsNotFound(err) || errors.Is(err, envelope.ErrNotEncrypted)
}

// multipartETag matches an ETag made from those of parts.
var multipartETag = regexp.MustCompile(`^[0-9a-f]{32}-[0-9]+$`)

func sameParts(a, b []envelope.Part) bool {
	return slices.EqualFunc(a, b, func(a, b envelope.Part) bool { return a.Number == b.Number && a.ID == b.ID && a.Size == b.Size })
}

// maxEarlierTries limits how often earlier looks at an object that is being overwritten.
const maxEarlierTries = 5

// earlier finds out whether a Complete of this upload has succeeded before. Only the object itself
// can prove that, by the hash of the upload's id in its trailer; otherwise the error is gone. An
// object that is being overwritten is looked at again.
func (c *completion) earlier(ctx context.Context, gone error) (*Completed, error) {
	for try := 1; ; try++ {
		done, err := c.earlierNow(ctx, gone)
		if between := errors.Is(err, object.ErrChanged) || errors.Is(err, object.ErrSpliced) || object.Damaged(err); !between || try == maxEarlierTries {
			return done, err
		}
		if err := upstream.Wait(ctx, time.Duration(try)*10*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

func (c *completion) earlierNow(ctx context.Context, gone error) (*Completed, error) {
	s, err := c.Stat(ctx, c.Bucket, c.Key, s3name.VersionID{})
	if err != nil && !isNoObjectOfOurs(err) {
		return nil, during(stepCheckObject, err)
	}
	if err != nil || s.Meta == nil || s.Meta.Kind != envelope.KindMultipart {
		return nil, gone
	}
	dek, _, err := c.Unlock(ctx, s)
	if err != nil {
		return nil, during(stepCheckObject, err)
	}
	defer dek.Destroy()
	t, err := c.Objects.Trailer(ctx, s, dek)
	if err != nil {
		return nil, during(stepCheckObject, err)
	}
	if t.UploadHash != c.hash || !c.lists(t.Parts) {
		return nil, gone
	}
	return &Completed{Header: s.Header, ETag: s.UpstreamETag, Trailer: t}, nil
}

// lists reports whether the client's list is that of a finished object. The ETag mode of the upload is
// gone with its state, so both forms count.
func (c *completion) lists(parts []envelope.Part) bool {
	return slices.EqualFunc(c.wanted.Parts, parts, func(wanted s3xml.CompletedPart, p envelope.Part) bool {
		return int(*wanted.PartNumber) == p.Number &&
			(isETagOf(*wanted.ETag, p.ID) || isMD5Of(*wanted.ETag, p))
	})
}
