package awskms

import (
	"context"
	"net/url"
	"time"

	"github.com/s3proxy/s3proxy/kms"
)

// OpenImpatient is [Opener] with hardly a wait between attempts.
func OpenImpatient(ctx context.Context, uri *url.URL) (kms.Key, error) {
	return open(ctx, uri, 10*time.Millisecond)
}
