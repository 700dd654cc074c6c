package ops

import (
	"context"
	"fmt"

	"github.com/s3proxy/s3proxy/kms"
)

// NewVersions makes one new version of each of the buckets' keys for writing, and calls made with
// its name.
func NewVersions(ctx context.Context, buckets Buckets, names []string, made func(kek string)) error {
	done := map[string]bool{}
	for _, bucket := range names {
		key, uri, err := buckets.WriteKey(ctx, bucket)
		if err != nil {
			return err
		}
		if done[uri] {
			continue
		}
		done[uri] = true
		rotator, can := key.(kms.Rotator)
		if !can {
			return fmt.Errorf("%s: s3proxy cannot make a new version in this KMS: name a new key, or move the alias", uri)
		}
		kek, err := rotator.Rotate(ctx)
		if err != nil {
			return fmt.Errorf("%s: make a new version: %w", uri, err)
		}
		made(kek)
	}
	return nil
}
