package proxy

import (
	"context"
	"fmt"
	"net/url"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/s3proxy/s3proxy/proxy/multipart"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// passthroughUploads remembers the uploads that a store has listed in buckets that are not
// encrypted, which have no upload state.
type passthroughUploads struct {
	lru *lru.Cache[multipart.Name, struct{}]
}

func newPassthroughUploads() *passthroughUploads {
	c, err := lru.New[multipart.Name, struct{}](1024)
	if err != nil {
		panic(err) // only a size below one is refused
	}
	return &passthroughUploads{c}
}

// knownUpload answers NoSuchUpload to the id that a client gives in a bucket that is not encrypted,
// unless the store lists it for that key. Only then does the id go to the store: no filter of
// ours can foresee what a store reads into an id that it has not made (MinIO decodes it and takes
// it for a path, even into other buckets). Each proxy asks once for an upload, with its own
// credentials, because an anonymous client may not be allowed to list.
func (x *exchange) knownUpload(ctx context.Context) error {
	if !x.Passthrough || x.uploadID == (s3name.UploadID{}) {
		return nil
	}
	name := multipart.Name{Bucket: x.bucket, Key: x.key, ID: x.uploadID}
	if x.proxy.passthroughUploads.lru.Contains(name) {
		return nil
	}
	q := url.Values{"uploads": {""}, "prefix": {x.key.String()}}
	for range state.MaxPages {
		page, _, err := uploadsPage(ctx, x.Upstream, upstream.Request{Bucket: x.bucket, Query: q})
		if err != nil {
			return fmt.Errorf("find the upload: %w", err)
		}
		for _, u := range page.Uploads.Page {
			if string(u.Key) == x.key.String() && u.UploadID == x.uploadID.String() {
				x.proxy.passthroughUploads.lru.Add(name, struct{}{})
				return nil
			}
		}
		if !page.IsTruncated || string(page.NextKeyMarker) > x.key.String() {
			return s3err.NoSuchUpload
		}
		if string(page.NextKeyMarker) == q.Get("key-marker") && page.NextUploadIDMarker == q.Get("upload-id-marker") {
			break
		}
		q.Set("key-marker", string(page.NextKeyMarker))
		q.Set("upload-id-marker", page.NextUploadIDMarker)
	}
	return fmt.Errorf("%w: a listing of uploads without an end", upstream.ErrStored)
}
