package object

import (
	"context"
	"net/http"

	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// NoVersion is the version id of an object in a bucket without versioning.
const NoVersion = "null"

// Stat asks for an object, or for one version of it, with the proxy's own credentials.
func (o *Objects) Stat(ctx context.Context, bucket s3name.Bucket, key s3name.Key, version s3name.VersionID) (*Stored, error) {
	if version.String() == NoVersion {
		version = s3name.VersionID{}
	}
	resp, err := o.Upstream.Do(ctx, &upstream.Request{Method: http.MethodHead, Bucket: bucket, Key: key, VersionID: version})
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	return o.ReadStored(bucket, key, false, resp)
}
