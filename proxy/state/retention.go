package state

import (
	"context"
	"maps"
	"net/http"
	"time"

	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// A bucket's default retention would lock state objects for as long as clients' objects. Therefore
// they get an explicit retention: the shortest that is certain to be in the future when the store
// checks it.
const ownRetention = time.Minute

// LockHeaders adds to the headers of a state object's PUT what a bucket with a default retention
// needs.
func LockHeaders(ctx context.Context, store *upstream.Client, bucket s3name.Bucket, h http.Header) http.Header {
	if !store.HasDefaultRetention(ctx, bucket) {
		return h
	}
	all := http.Header{}
	maps.Copy(all, h)
	all.Set("X-Amz-Object-Lock-Mode", "GOVERNANCE")
	all.Set("X-Amz-Object-Lock-Retain-Until-Date", time.Now().Add(ownRetention).UTC().Format("2006-01-02T15:04:05Z"))
	return all
}
