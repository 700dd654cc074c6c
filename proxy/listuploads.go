package proxy

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/multipart"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// listMultipartUploads shows the store's uploads, except for those at the names of the proxy's own
// objects. Keys are encoded here, because versitygw 1.8 says that it encodes them and does not.
func listMultipartUploads(x *exchange) error {
	encoding, given := x.query["encoding-type"]
	if given && encoding[0] != "url" {
		return errEncodingType(encoding[0])
	}
	q := x.passedQuery()
	q.Del("encoding-type")
	out, header, err := uploadsPage(x.r.Context(), x.Upstream, upstream.Request{Bucket: x.bucket, Query: q, Header: x.passedHeaders(), Unsigned: x.unsigned()})
	if err != nil {
		return err
	}
	out.Xmlns, out.Bucket, out.MaxUploads = s3xml.Namespace, x.bucket.String(), min(out.MaxUploads, out.Uploads.Most)
	out.Uploads.Page = slices.DeleteFunc(out.Uploads.Page, func(u s3xml.ListedUpload) bool { return x.Place.Owns(string(u.Key)) })
	out.CommonPrefixes = slices.DeleteFunc(out.CommonPrefixes, func(p s3xml.CommonPrefix) bool { return x.Place.Owns(string(p.Prefix)) })
	if err := x.uploadChecksums(out.Uploads.Page); err != nil {
		return err
	}
	if given {
		s3xml.EncodeTexts(out)
	}
	x.passCommon(header)
	return x.answerXML(out)
}

// uploadsPage asks the store for a page of uploads, always with a size. Where the prefix is a key,
// MinIO cuts pages by age; those that are cut here go by id.
func uploadsPage(ctx context.Context, c *upstream.Client, req upstream.Request) (*s3xml.ListUploads, http.Header, error) {
	most := req.Query.Get("max-uploads") // the store refuses one that is not legal
	if n, err := strconv.Atoi(most); most == "" || err == nil && n > s3xml.MaxEntries {
		req.Query.Set("max-uploads", strconv.Itoa(s3xml.MaxEntries))
	}
	page, header, err := upstream.List[s3xml.ListUploads](ctx, c, req)
	if err != nil {
		return nil, nil, err
	}
	page.End()
	return page, header, nil
}

// uploadChecksums adds which checksum each upload will have, which only its state knows. If the
// state is missing (the upload is not ours, or is just ending) or cannot be opened, the checksum
// is left out: the upload must be listed all the same, or nobody could find and abort it.
func (x *exchange) uploadChecksums(uploads []s3xml.ListedUpload) error {
	group, ctx := errgroup.WithContext(x.r.Context())
	group.SetLimit(maxSideBySide)
	for i := range uploads {
		group.Go(func() error {
			key, keyErr := x.Place.ClientKey(string(uploads[i].Key))
			id, idErr := s3name.ParseUploadID(uploads[i].UploadID)
			if keyErr != nil || idErr != nil { // none of ours
				return nil
			}
			at := x.target()
			at.Key = key
			sum, err := x.proxy.uploads.ChecksumOf(ctx, at, id)
			if errors.Is(err, multipart.ErrNoState) || object.Unreadable(err) || refusedByKMS(err) {
				return nil
			}
			if err != nil {
				return err
			}
			uploads[i].ChecksumAlgorithm, uploads[i].ChecksumType = checksum.AlgorithmName(sum.Algorithm), checksum.TypeName(sum.Type)
			return nil
		})
	}
	return group.Wait()
}

// refusedByKMS tells whether a key stays closed however often its KMS is asked.
func refusedByKMS(err error) bool {
	return errors.Is(err, kms.ErrDenied) || errors.Is(err, kms.ErrNotFound) || errors.Is(err, kms.ErrInvalid)
}
