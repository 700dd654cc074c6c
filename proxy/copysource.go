package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/inplace"
	"github.com/s3proxy/s3proxy/proxy/multipart"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// copySource is the object that a copy reads. It has the settings of its own bucket.
type copySource struct{ inplace.Source }

var (
	errSourceBucket   = s3err.InvalidArgument.WithMessage("Invalid copy source bucket name")
	errSourceKey      = s3err.InvalidArgument.WithMessage("Invalid copy source object key")
	errSourceEncoding = s3err.InvalidArgument.WithMessage("Invalid copy source encoding")
	errSourceRange    = s3err.InvalidArgument.WithMessage("The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy")
)

// sourceBucket is the form of a bucket's name that copies may read.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
var sourceBucket = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// parseCopySource reads x-amz-copy-source: `bucket/key?versionId=id`, URL-encoded, with
// or without a slash in front.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
func parseCopySource(header string) (src s3name.Source, err error) {
	// What is encoded in the key is of the key: the version is behind a bare question mark.
	encoded, version, versioned := strings.Cut(strings.TrimPrefix(header, "/"), "?versionId=")
	// "+" is a space there, and the slash may be encoded (the .NET SDK does that).
	decoded, err := url.QueryUnescape(encoded)
	if err != nil || !utf8.ValidString(decoded) {
		return src, errSourceEncoding.Argument("x-amz-copy-source", header)
	}
	bucket, key, _ := strings.Cut(decoded, "/")
	if src.Bucket, err = s3name.ParseBucket(bucket); err != nil || !sourceBucket.MatchString(bucket) || net.ParseIP(bucket) != nil {
		return src, errSourceBucket.Argument("x-amz-copy-source", header)
	}
	if src.Key, err = s3name.ParseKey(key); err != nil {
		return src, errSourceKey.Argument("x-amz-copy-source", key)
	}
	if versioned {
		if version, err = url.QueryUnescape(version); err != nil {
			return src, errSourceEncoding.Argument("x-amz-copy-source", header)
		}
		if src.Version, err = s3name.ParseVersionID(version); err != nil {
			return src, err
		}
	}
	return src, nil
}

// bucketFirst gives err, unless the bucket itself is not there: S3 says that first.
func (x *exchange) bucketFirst(ctx context.Context, err error) error {
	if refused := x.Upstream.AskBucket(ctx, x.bucket, x.unsigned()); errors.Is(refused, s3err.NoSuchBucket) {
		return refused
	}
	return err
}

// errAnonymousCopy: "All copy requests must be authenticated", S3 says.
var errAnonymousCopy = s3err.AccessDenied.WithMessage("Anonymous users cannot copy objects. Please authenticate.")

// openSource looks at the source of a copy and judges the client's conditions on it.
func (x *exchange) openSource(ctx context.Context) (*copySource, error) {
	if x.unsigned() {
		return nil, errAnonymousCopy
	}
	named, err := parseCopySource(x.r.Header.Get("X-Amz-Copy-Source"))
	if err != nil {
		return nil, x.bucketFirst(ctx, err)
	}
	if err := x.allow(named.Bucket, false); err != nil {
		return nil, err
	}
	src := *x.proxy.of(named.Bucket)
	if err := src.Place.RefuseOwn(named.Key); err != nil {
		return nil, err
	}
	if src.Passthrough {
		src.AllowPlaintextReads = true
	}
	h := http.Header{}
	if v := x.r.Header.Get("X-Amz-Source-Expected-Bucket-Owner"); v != "" {
		h.Set("X-Amz-Expected-Bucket-Owner", v)
	}
	ask := func(method string) (*http.Response, error) {
		resp, err := src.Upstream.Do(ctx, &upstream.Request{Method: method, Bucket: named.Bucket, Key: named.Key, VersionID: named.Version, Header: h, Unsigned: x.unsigned()})
		if err == nil {
			resp.Body.Close()
		}
		return resp, err
	}
	resp, err := ask(http.MethodHead)
	if err != nil {
		if _, inWords := ask(http.MethodGet); inWords != nil { // HEAD has no error document
			err = inWords
		}
		return nil, err
	}
	s, err := src.ReadStored(named.Bucket, named.Key, x.unsigned(), resp)
	if err != nil {
		return nil, err
	}
	if s.Meta != nil && src.Passthrough { // of such a bucket everything is what it is
		s.Meta, s.Size = nil, s.Bytes
	}
	found := &copySource{inplace.Source{Objects: &src, Stored: s, Unsigned: x.unsigned(), Named: named.Version}}
	return found, found.checkConditions(ctx, x.r.Header)
}

// checkConditions compares the x-amz-copy-source-if-* conditions: as with GET, If-Match counts
// more than If-Unmodified-Since, and If-None-Match more than If-Modified-Since.
func (src *copySource) checkConditions(ctx context.Context, h http.Header) error {
	const prefix = "X-Amz-Copy-Source-If-"
	match, noneMatch := condition(h, prefix+"Match"), condition(h, prefix+"None-Match")
	modified, unmodified := h.Get(prefix+"Modified-Since"), h.Get(prefix+"Unmodified-Since")
	failed := func(name string) error {
		return s3err.PreconditionFailed.With(s3err.Field{Name: "Condition", Value: "x-amz-copy-source-If-" + name})
	}
	if match != "" || noneMatch != "" {
		tag, err := src.ObjectETag(ctx, src.Stored)
		if err != nil {
			return err
		}
		if match != "" && !tag.IsIn(match) {
			return failed("Match")
		}
		if noneMatch != "" && tag.IsInWeakly(noneMatch) {
			return failed("None-Match")
		}
	}
	last, err := http.ParseTime(src.Header.Get("Last-Modified"))
	if err != nil {
		return nil
	}
	if since, err := http.ParseTime(unmodified); err == nil && match == "" && last.After(since) {
		return failed("Unmodified-Since")
	}
	if since, err := http.ParseTime(modified); err == nil && noneMatch == "" && !last.After(since) && !since.After(time.Now()) {
		return failed("Modified-Since")
	}
	return nil
}

// copyRange reads x-amz-copy-source-range for a source of size bytes; without it the
// whole is copied.
func copyRange(header string, size int64) (offset, length int64, err error) {
	if header == "" {
		return 0, size, nil
	}
	r, ok := parseRange(header)
	switch {
	case !ok || r.first < 0 || r.last < 0:
		return 0, 0, errSourceRange.Argument("x-amz-copy-source-range", header)
	case r.first >= size || r.last >= size:
		return 0, 0, s3err.InvalidArgument.WithMessage("Range specified is not valid for source object of size: %d", size).
			Argument("x-amz-copy-source-range", header)
	}
	return r.first, r.last - r.first + 1, nil
}

// uploadPartCopy reads a range of an object, opened and authenticated, and seals it
// anew as a part: it streams through the proxy.
func uploadPartCopy(x *exchange) error {
	ctx := x.r.Context()
	if _, err := parseCopySource(x.r.Header.Get("X-Amz-Copy-Source")); err != nil {
		return x.bucketFirst(ctx, err)
	}
	if x.unsigned() {
		return s3err.AccessDenied.WithMessage("Access Denied.")
	}
	if x.Passthrough {
		return x.copyPassthroughPart(ctx)
	}
	u, err := x.proxy.uploads.Open(ctx, x.target(), x.uploadID)
	if err != nil {
		return err
	}
	defer u.Close()
	src, err := x.openSource(ctx)
	if err != nil {
		return err
	}
	offset, length, err := copyRange(x.r.Header.Get("X-Amz-Copy-Source-Range"), src.Size)
	if err != nil {
		return err
	}
	if err := multipart.CheckPartSize(x.part, length); err != nil {
		return err
	}
	body, err := src.Read(ctx, src.Stored, offset, length)
	if err != nil {
		return err
	}
	defer body.Close()
	plain := checksum.NewReader(body, nil, u.Declared())
	part, err := u.SendPart(ctx, x.part, length, plain)
	if err := copyFailure(plain, err); err != nil {
		return err
	}
	out := s3xml.CopyPartResult{Xmlns: s3xml.Namespace, LastModified: time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), ETag: u.PartETag(part)}
	if u.Checksum().Algorithm != envelope.NoChecksum {
		checksum.SetElement(&out.Checksums, part.Checksum, 0)
	}
	x.passCommon(http.Header{})
	x.tellEncryption(x.w.Header(), x.ETag == object.ETagMD5, nil)
	src.tellVersion(x.w.Header())
	return x.answerXML(out)
}

// copyFailure is why a copy that streams failed: the source's reason counts more than
// what the store says of a body that ended early.
func copyFailure(plain *checksum.Reader, err error) error {
	if refusal := plain.Refusal(); refusal != nil {
		return fmt.Errorf("read the copy's source: %w", refusal)
	}
	if err == nil {
		err = plain.Whole()
	}
	return err
}

func (src *copySource) tellVersion(h http.Header) {
	if v := src.Header.Get("X-Amz-Version-Id"); v != "" {
		h.Set("X-Amz-Copy-Source-Version-Id", v)
	}
}
