package upstream

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"

	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// retentions remembers which buckets have a default retention. A change is noticed late, and not
// every answer is kept: what is written meanwhile is locked for longer, or refused.
type retentions = expirable.LRU[s3name.Bucket, bool]

func newRetentions() *retentions {
	return expirable.NewLRU[s3name.Bucket, bool](10_000, nil, 5*time.Minute)
}

// HasDefaultRetention tells whether what is put into the bucket is locked by default. A
// store that refuses the question has none; one that does not answer is asked again next
// time.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLockConfiguration.html
func (c *Client) HasDefaultRetention(ctx context.Context, bucket s3name.Bucket) bool {
	locks, ok := c.retentions.Get(bucket)
	if !ok {
		var known bool
		if locks, known = c.askDefaultRetention(ctx, bucket); known {
			c.retentions.Add(bucket, locks)
		}
	}
	return locks
}

func (c *Client) askDefaultRetention(ctx context.Context, bucket s3name.Bucket) (locks, known bool) {
	resp, err := c.Do(ctx, &Request{Method: http.MethodGet, Bucket: bucket, Query: url.Values{"object-lock": {""}}})
	if err != nil {
		status, refused := Status(err)
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
