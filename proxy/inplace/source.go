package inplace

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// Source is an object whose bytes are written again, under its own name or another. Its settings
// are those of its own bucket.
type Source struct {
	*object.Objects
	*object.Stored
	Unsigned bool
	Named    s3name.VersionID // the requested version; zero for the current one
	// Recheck, in a renewal, fails with object.ErrChanged if the object is no longer in the state
	// that was read. It is called as late as a write can still be taken back.
	Recheck func(context.Context) error
}

// Copy sends a request that makes the store copy from the source, pinned to the version and ETag
// that were found. versitygw 1.8 refuses a version as a copy's source if versioning is suspended;
// therefore a version that the client did not name is then left out.
func (src *Source) Copy(ctx context.Context, to *upstream.Client, req *upstream.Request, result any) (http.Header, error) {
	req.Source = &s3name.Source{Bucket: src.Bucket, Key: src.Key, Version: src.Version}
	header, err := to.Result(ctx, req, result)
	if errors.Is(err, s3err.InvalidArgument) && src.Version != src.Named && req.Header.Get("X-Amz-Copy-Source-If-Match") != "" {
		req.Source.Version = src.Named
		header, err = to.Result(ctx, req, result)
	}
	return header, err
}

// Prove makes sure that the ETag and the metadata that were found belong together, before bytes
// with that ETag are kept under this key: the end of the body with the ETag must open under the
// key. versitygw 1.8 reads the two one after the other, and in the middle of an overwrite one
// answer mixes two states. Prove returns the end; nil for an object without bytes.
func (src *Source) Prove(ctx context.Context, dek *envelope.DEK) (*envelope.Trailer, error) {
	if src.Meta.Kind == envelope.KindEmpty {
		return nil, nil
	}
	return src.Trailer(ctx, src.Stored, dek)
}

// Tags are the source's tags in the form of x-amz-tagging; empty if the store does not support tags.
func (src *Source) Tags(ctx context.Context) (string, error) {
	var set struct {
		Tags s3xml.Bounded[struct {
			Key   string `xml:"Key"`
			Value string `xml:"Value"`
		}] `xml:"TagSet>Tag"`
	}
	_, err := src.Upstream.GetXML(ctx, &upstream.Request{Bucket: src.Bucket, Key: src.Key, VersionID: src.Version, Query: url.Values{"tagging": {""}}, Unsigned: src.Unsigned}, &set)
	if status, refused := upstream.Status(err); refused && (status == http.StatusNotFound || status == http.StatusNotImplemented) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the source's tags: %w", err)
	}
	tags := url.Values{}
	for _, t := range set.Tags {
		tags.Add(t.Key, t.Value)
	}
	return strings.ReplaceAll(tags.Encode(), "+", "%20"), nil
}
