package upstream

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/s3name"
)

const copySourceHeader = "X-Amz-Copy-Source"

// checkNames refuses a request that names a place by other means than its typed fields,
// or a key without its bucket.
func (r *Request) checkNames() error {
	for name := range r.Query {
		if s3name.IsID(name) {
			return fmt.Errorf("the query holds %s, which is a field of the request", name)
		}
	}
	if err := s3name.CheckQuery(r.Query); err != nil {
		return err
	}
	for name := range r.Header {
		if strings.EqualFold(name, copySourceHeader) {
			return fmt.Errorf("the headers hold %s, which is a field of the request", copySourceHeader)
		}
	}
	switch {
	case r.Bucket == (s3name.Bucket{}) && r.Key != (s3name.Key{}):
		return errors.New("a key without a bucket")
	case r.Key == (s3name.Key{}) && (r.UploadID != (s3name.UploadID{}) || r.VersionID != (s3name.VersionID{})):
		return errors.New("the id of an upload or a version without a key")
	case r.Source != nil && (r.Source.Bucket == (s3name.Bucket{}) || r.Source.Key == (s3name.Key{})):
		return errors.New("a copy's source without a bucket or a key")
	}
	return nil
}

// query is Query with the ids.
func (r *Request) query() url.Values {
	if r.UploadID == (s3name.UploadID{}) && r.VersionID == (s3name.VersionID{}) {
		return r.Query
	}
	q := url.Values{}
	maps.Copy(q, r.Query)
	if r.UploadID != (s3name.UploadID{}) {
		q.Set("uploadId", r.UploadID.String())
	}
	if r.VersionID != (s3name.VersionID{}) {
		q.Set("versionId", r.VersionID.String())
	}
	return q
}

// sourceValue is the value of x-amz-copy-source.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
func sourceValue(s *s3name.Source) string {
	value := "/" + s.Bucket.String() + "/" + (&url.URL{Path: s.Key.String()}).EscapedPath()
	value = strings.ReplaceAll(value, "+", "%2B")
	if s.Version != (s3name.VersionID{}) {
		value += "?versionId=" + url.QueryEscape(s.Version.String())
	}
	return value
}
