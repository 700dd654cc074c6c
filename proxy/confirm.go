package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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

// ended looks for the object of an upload that the store no longer has. While
// another request's Complete puts the parts together, versitygw 1.8 hides the
// upload, and shows it again when that fails: as long as nobody took the state
// away, the object may still come.
func (c *completion) ended(ctx context.Context, gone error) (*completed, error) {
	for _, wait := range confirmWaits {
		if err := upstream.Wait(ctx, wait); err != nil {
			return nil, err
		}
		done, err := c.finishedBefore(ctx, gone)
		if !errors.Is(err, s3err.NoSuchUpload) {
			return done, err
		}
		_, err = loadUpload(ctx, c.Objects, c.u.Bucket, c.u.Key, c.u.ID)
		if errors.Is(err, errNoState) {
			// Whoever took it away may have done so because the object is there.
			return c.finishedBefore(ctx, gone)
		}
		if err != nil {
			return nil, during(stepCheckObject, err)
		}
	}
	return nil, gone
}

// confirmWaits are the pauses before looking again whether the object is there.
var confirmWaits = []time.Duration{0, 100 * time.Millisecond, 400 * time.Millisecond, time.Second, 2 * time.Second}

// confirm makes sure that the object at the key became this upload's, of this list: its
// metadata commits to this upload's key. It is not when the store said 200 for another
// reason, or when it was overwritten since.
func (c *completion) confirm(ctx context.Context, header http.Header, etag string, trailer *envelope.Trailer, proven bool) (*completed, error) {
	done := &completed{header: header, etag: etag, trailer: trailer}
	finished, judged := c.judge(ctx, done)
	if finished {
		return done, nil
	}
	if judged != nil && !proven && !errors.Is(judged, errNoState) {
		return nil, judged
	}
	if !proven {
		var err error
		if proven, err = c.probeFalse200(ctx); err != nil {
			return nil, err
		}
	}
	switch {
	case errors.Is(judged, errOtherList):
		return nil, judged
	case proven: // overwritten since, whoever took the state away meanwhile
		return done, nil
	case judged != nil: // aborted, or completed by another request: run looks
		return nil, judged
	}
	for _, wait := range confirmWaits {
		if err := upstream.Wait(ctx, wait); err != nil {
			return nil, err
		}
		if finished, err := c.judge(ctx, done); finished || err != nil {
			return done, err
		}
	}
	if err := c.u.IsThere(ctx); err == nil {
		return nil, fmt.Errorf("%w: the store said 200 and did nothing", errAgain)
	} else if !errors.Is(err, s3err.NoSuchUpload) {
		return nil, during(stepCheckObject, err)
	}
	return nil, s3err.ServiceUnavailable.WithMessage("Whether this upload became the object is not known: another request completes it, or its object was overwritten since. Please try again.").
		Because(fmt.Errorf("%s: the store says 200 for any upload that it does not have", stepCheckObject))
}

var errOtherList = errors.New("the upload was completed with another list of parts")

// judge tells whether the object at the key is what this Complete asked for. An
// upload that was aborted, or completed with another list, is NoSuchUpload.
func (c *completion) judge(ctx context.Context, done *completed) (finished bool, err error) {
	u := c.u
	version, err := upstream.AnsweredVersion(done.header)
	if err != nil {
		return false, during(stepCheckObject, err)
	}
	s, err := c.statObject(ctx, version)
	if err != nil && !upstream.IsNotFound(err) && !errors.Is(err, envelope.ErrNotEncrypted) {
		return false, during(stepCheckObject, err)
	}
	if err == nil && s.Meta != nil && s.Meta.Commitment == u.dek.Commitment() {
		if made := strings.Trim(done.etag, `"`); multipartETag.MatchString(made) && made == strings.Trim(s.UpstreamETag, `"`) {
			return true, nil // of these very parts, for each trailer is another
		}
		t, err := c.Objects.Trailer(ctx, s, u.dek)
		if errors.Is(err, object.ErrChanged) {
			return false, nil // it was overwritten in this moment
		}
		if err != nil {
			return false, during(stepCheckObject, err)
		}
		if !sameParts(t.Parts, done.trailer.Parts) {
			return false, s3err.NoSuchUpload.Because(errOtherList)
		}
		if done.trailer = t; s.UpstreamETag != "" {
			done.etag = s.UpstreamETag
		}
		return true, nil
	}
	if _, err := loadUpload(ctx, c.Objects, u.Bucket, u.Key, u.ID); errors.Is(err, errNoState) {
		return false, s3err.NoSuchUpload.Because(err) // aborted, or completed by another request: run looks
	} else if err != nil {
		return false, during(stepCheckObject, err)
	}
	return false, nil
}

// multipartETag is one that is made of the parts' ETags.
var multipartETag = regexp.MustCompile(`^[0-9a-f]{32}-[0-9]+$`)

func sameParts(a, b []envelope.Part) bool {
	return slices.EqualFunc(a, b, func(a, b envelope.Part) bool { return a.Number == b.Number && a.ID == b.ID && a.Size == b.Size })
}

// statObject asks for the object at the upload's key, with the proxy's own credentials.
func (x *exchange) statObject(ctx context.Context, version s3name.VersionID) (*object.Stored, error) {
	if version.String() == noVersion {
		version = s3name.VersionID{}
	}
	resp, err := x.Upstream.Do(ctx, &upstream.Request{Method: http.MethodHead, Bucket: x.bucket, Key: x.key, VersionID: version})
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	return x.ReadStored(x.bucket, x.key, false, resp)
}

// noVersion is the id of the version that a bucket without versions has of an object.
const noVersion = "null"

// finishedBefore looks whether a Complete of this upload has succeeded before: only
// the object itself can prove it, by the hash of the upload's id in its summary. An
// aborted upload is NoSuchUpload whatever stands at the key. An object that is being
// overwritten is looked at again.
func (c *completion) finishedBefore(ctx context.Context, gone error) (*completed, error) {
	for try := 1; ; try++ {
		done, err := c.finishedNow(ctx, gone)
		if between := errors.Is(err, object.ErrChanged) || errors.Is(err, object.ErrSpliced) || object.Damaged(err); !between || try == maxReadTries {
			return done, err
		}
		if err := upstream.Wait(ctx, time.Duration(try)*10*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

func (c *completion) finishedNow(ctx context.Context, gone error) (*completed, error) {
	s, err := c.statObject(ctx, s3name.VersionID{})
	if err != nil || s.Meta == nil || s.Meta.Kind != envelope.KindMultipart {
		if err != nil && !upstream.IsNotFound(err) && !errors.Is(err, envelope.ErrNotEncrypted) {
			return nil, during(stepCheckObject, err)
		}
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
	if t.UploadHash != envelope.UploadHash(c.uploadID.String()) || !c.lists(t.Parts) {
		return nil, gone
	}
	return &completed{header: s.Header, etag: s.UpstreamETag, trailer: t}, nil
}

// lists tells whether the client's list is that of a finished object. In which mode the
// upload's ETags were went with its state.
func (c *completion) lists(parts []envelope.Part) bool {
	return slices.EqualFunc(c.asked, parts, func(asked s3xml.CompletedPart, p envelope.Part) bool {
		return int(*asked.PartNumber) == p.Number &&
			(isETagOf(*asked.ETag, p.ID) || isMD5Of(*asked.ETag, p))
	})
}
