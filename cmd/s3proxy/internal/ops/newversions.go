package ops

import (
	"context"
	"fmt"

	"github.com/s3proxy/s3proxy/kms"
)

// NewVersions makes one new version of each key for writing of the plans' buckets, and calls made
// with its name. With KeepGoing the plans for which there is none are replaced by such that fail.
func NewVersions[R Report](ctx context.Context, job Job, plans []Plan[R], made func(kek string)) error {
	done := map[string]error{}
	for i, plan := range plans {
		if _, out := plan.(refused[R]); out {
			continue
		}
		key, uri, err := job.Buckets.WriteKey(ctx, plan.Place().Bucket)
		if err == nil {
			known, tried := done[uri]
			if err = known; !tried {
				err = newVersion(ctx, key, uri, made)
				done[uri] = err
			}
		}
		if err != nil && (!job.KeepGoing || ctx.Err() != nil) {
			return err
		}
		if err != nil {
			plans[i] = refused[R]{plan.Place(), err}
		}
	}
	return nil
}

func newVersion(ctx context.Context, key kms.Key, uri string, made func(kek string)) error {
	rotator, can := key.(kms.Rotator)
	if !can {
		return fmt.Errorf("%s: s3proxy cannot make a new version in this KMS: name a new key, or move the alias", uri)
	}
	kek, err := rotator.Rotate(ctx)
	if err != nil {
		return fmt.Errorf("%s: make a new version: %w", uri, err)
	}
	made(kek)
	return nil
}
