package ops

import (
	"context"
	"fmt"
	"sync"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/multipart"
	"github.com/s3proxy/s3proxy/proxy/object"
)

// left counts what is still below the floor.
func (r *Rekeyed) left() int {
	return len(r.Failed) + r.Locked + r.Archived + r.OldVersions + r.Uploads + len(r.Unreadable)
}

// below tells whether the object or upload with this metadata must be encrypted again.
func (r *rekeying) below(ctx context.Context, key, upload string, m *envelope.Metadata) (bool, error) {
	if m == nil {
		return false, nil
	}
	if r.found.Floor == "" { // in a dry run everything is
		return true, nil
	}
	dek, err := r.bucket.Keyring.OpenKey(ctx, kms.Name{Bucket: r.bucket.Origin, Key: key, Kind: m.Kind, UploadID: upload}, m)
	if err != nil {
		return false, err
	}
	defer dek.Destroy()
	current, err := r.bucket.Keyring.IsCurrent(ctx, r.bucket.Origin, dek)
	return !current, err
}

// countUploads counts the uploads in progress that will become objects below the floor.
func (r *rekeying) countUploads(ctx context.Context) error {
	r.found.Uploads = 0
	return r.rewrite.walker.Uploads(ctx, r.found.Bucket, func(u multipart.InProgress) error {
		below, err := r.below(ctx, u.Key, u.ID, u.Meta)
		item := Item{Key: u.Key, Upload: u.ID}
		switch {
		case err != nil:
			r.found.Unreadable[item] = err.Error()
		case below:
			r.found.Uploads++
			r.name(item)
		}
		return nil
	})
}

// countOldVersions counts the versions that are not current and below the floor.
func (r *rekeying) countOldVersions(ctx context.Context) error {
	r.found.OldVersions = 0
	var mu sync.Mutex
	old := walk{Rate: r.Rate, progress: unwatched{}, list: func(ctx context.Context, visit func(listed) error) error {
		return r.rewrite.walker.OldVersions(ctx, r.found.Bucket, "", visit)
	}}
	return old.each(ctx, func(ctx context.Context, l listed) (Step, error) {
		below := false
		found, err := object.Inspect(ctx, r.rewrite.walker.Store, r.found.Bucket, l.Key, l.Version)
		if err == nil {
			below, err = r.below(ctx, l.Key, "", found.Metadata)
		}
		gone, err := deletedSince(l, err)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return Step{}, ctx.Err()
		case gone:
		case err != nil:
			if len(r.found.Unreadable) >= maxFailed {
				return Step{}, fmt.Errorf("%w: %w", errTooMany, err)
			}
			r.found.Unreadable[named(l)] = err.Error()
		case below:
			r.found.OldVersions++
			r.name(named(l))
		}
		return Step{}, nil
	})
}

func (r *rekeying) name(what Item) {
	if len(r.found.First) < maxFirst {
		r.found.First = append(r.found.First, what)
	}
}
