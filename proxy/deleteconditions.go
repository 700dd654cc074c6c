package proxy

import (
	"golang.org/x/sync/errgroup"

	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// deleteConditional sends a DeleteObjects whose entries may name ETags as clients see them. An
// entry that the store refuses although its ETag was right a moment before is looked at again.
// The other entries are sent once.
func (x *exchange) deleteConditional(asked upstream.Deletions, result *s3xml.DeleteResult) error {
	for try := range object.MaxTries {
		sent := upstream.Deletions{Quiet: asked.Quiet}
		resolved, err := x.resolveDeletes(asked.Objects, &sent, result)
		if err != nil {
			return err
		}
		if len(sent.Objects) == 0 && len(asked.Objects) > 0 {
			x.passCommon(nil)
			return nil
		}
		answer := s3xml.DeleteResult{}
		header, err := x.Upstream.DeleteObjects(x.r.Context(), x.bucket, sent, x.passedHeaders(), x.unsigned(), &answer)
		if err != nil {
			return err
		}
		x.passCommon(header)
		result.Deleted = append(result.Deleted, answer.Deleted...)
		asked.Objects = nil
		for _, e := range answer.Errors {
			original, again := resolved[[2]string{string(e.Key), e.VersionID}]
			if again && e.Code == s3err.PreconditionFailed.Code && try < object.MaxTries-1 {
				asked.Objects = append(asked.Objects, original)
			} else {
				result.Errors = append(result.Errors, e)
			}
		}
		if len(asked.Objects) == 0 {
			return nil
		}
	}
	return nil
}

// resolveDeletes adds the entries to sent, with the store's ETags and sizes, and those whose ETag
// does not match to result. resolved are the entries whose ETag was compared here, as the client
// gave them.
func (x *exchange) resolveDeletes(asked []upstream.Deletion, sent *upstream.Deletions, result *s3xml.DeleteResult) (resolved map[[2]string]upstream.Deletion, err error) {
	upstreamTags := make([]string, len(asked))
	compared, refused := make([]bool, len(asked)), make([]bool, len(asked))
	group, ctx := errgroup.WithContext(x.r.Context())
	group.SetLimit(maxSideBySide)
	for i, o := range asked {
		etag := o.Conditions.ETag
		upstreamTags[i] = object.UpstreamETags(etag)
		if !x.ETag.ComparedHere(etag) {
			continue
		}
		group.Go(func() error {
			tag, err := x.TagAt(ctx, x.bucket, o.Key, o.Version, x.unsigned())
			switch {
			case upstream.IsNotFound(err): // the store says what S3 says of it
				return nil
			case err != nil:
				return err
			case !tag.IsIn(etag):
				refused[i] = true
			default:
				upstreamTags[i], compared[i] = tag.Upstream, true
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	resolved = map[[2]string]upstream.Deletion{}
	for i, o := range asked {
		if refused[i] {
			result.Errors = append(result.Errors, s3xml.DeleteError{Key: o.Conditions.Key, VersionID: o.Conditions.VersionID, Code: s3err.PreconditionFailed.Code, Message: s3err.PreconditionFailed.Message})
			continue
		}
		if compared[i] {
			resolved[[2]string{o.Key.String(), o.Version.String()}] = o
		}
		o.Conditions.ETag = upstreamTags[i]
		if o.Conditions.Size != nil {
			stored := storedSizeOf(o.Key.String(), *o.Conditions.Size)
			o.Conditions.Size = &stored
		}
		sent.Objects = append(sent.Objects, o)
	}
	return resolved, nil
}

// maxSideBySide bounds the requests to the store that one request of a client makes
// at once.
const maxSideBySide = 16
