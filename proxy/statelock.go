package proxy

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"

	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// A bucket with a default retention would lock the proxy's own objects for as long
// as its clients'. An explicit retention takes the default's place: the shortest that
// is surely in the future when the store looks at it.
const stateRetention = time.Minute

// bypassRetention is the header with which a retention of GOVERNANCE holds nobody who may
// bypass it.
const bypassRetention = "X-Amz-Bypass-Governance-Retention"

type lockedBucket struct {
	store  *upstream.Client
	bucket s3name.Bucket
}

// defaultRetentions remembers which buckets have one. A change is seen late: until
// then own objects are locked for longer, or refused and asked for again.
var defaultRetentions = expirable.NewLRU[lockedBucket, bool](10_000, nil, 5*time.Minute)

// lockState adds to the headers of an own object's PUT what a bucket with a default
// retention needs.
func lockState(ctx context.Context, store *upstream.Client, bucket s3name.Bucket, h http.Header) http.Header {
	id := lockedBucket{store, bucket}
	locks, ok := defaultRetentions.Get(id)
	if !ok {
		var known bool
		if locks, known = hasDefaultRetention(ctx, store, bucket); known {
			defaultRetentions.Add(id, locks)
		}
	}
	if !locks {
		return h
	}
	all := http.Header{}
	maps.Copy(all, h)
	all.Set("X-Amz-Object-Lock-Mode", "GOVERNANCE")
	all.Set("X-Amz-Object-Lock-Retain-Until-Date", time.Now().Add(stateRetention).UTC().Format("2006-01-02T15:04:05Z"))
	return all
}

// hasDefaultRetention asks the store. A store that refuses the question has none; one
// that does not answer is asked again next time.
func hasDefaultRetention(ctx context.Context, store *upstream.Client, bucket s3name.Bucket) (locks, known bool) {
	resp, err := store.Do(ctx, &upstream.Request{Method: http.MethodGet, Bucket: bucket, Query: url.Values{"object-lock": {""}}})
	if err != nil {
		status, refused := refusedWith(err)
		return false, refused && (status < 500 || status == http.StatusNotImplemented)
	}
	defer resp.Body.Close()
	var conf struct {
		Mode string `xml:"Rule>DefaultRetention>Mode"`
	}
	if err := s3xml.Decode(resp.Body, &conf); err != nil {
		return false, false
	}
	return conf.Mode != "", true
}
