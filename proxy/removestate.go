package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// removeState deletes all own objects whose keys begin with prefix, every version
// of them.
func (o *objects) removeState(ctx context.Context, stateBucket s3name.Bucket, prefix string) error {
	return o.removeEntries(ctx, stateBucket, prefix, func(string) bool { return true })
}

// removeEntries deletes those own objects below prefix that which picks.
func (o *objects) removeEntries(ctx context.Context, stateBucket s3name.Bucket, prefix string, which func(key string) bool) error {
	for range maxStatePages {
		page, err := o.Upstream.ListAny(ctx, upstream.Request{Bucket: stateBucket}, prefix, "", s3xml.MaxEntries)
		if err != nil {
			return err
		}
		entries := page.Entries()
		full := len(entries) >= s3xml.MaxEntries
		entries = slices.DeleteFunc(entries, func(e s3xml.ListedVersion) bool { return !which(string(e.Key)) })
		if len(entries) == 0 {
			return nil
		}
		list := upstream.Deletions{Quiet: true}
		for _, e := range entries {
			key, version, err := o.ownEntry(e, prefix)
			if err != nil {
				return err
			}
			list.Objects = append(list.Objects, upstream.Deletion{Key: key, Version: version})
		}
		if err := o.deleteOwnList(ctx, stateBucket, list); err != nil {
			return err
		}
		if !full {
			return nil
		}
	}
	return errors.New("the store goes on listing what was deleted")
}

// deleteOwnList deletes own objects, with the retention that they may have: that is only
// there because the bucket has a default (lockState). ErrLocked if the store keeps them.
func (o *objects) deleteOwnList(ctx context.Context, stateBucket s3name.Bucket, list upstream.Deletions) error {
	for _, h := range []http.Header{nil, {upstream.BypassRetention: {"true"}}} {
		var result s3xml.DeleteResult
		_, err := o.Upstream.DeleteObjects(ctx, stateBucket, list, h, false, &result)
		switch {
		case h != nil && upstream.MayBeLocked(err):
			return fmt.Errorf("delete %s: %w: %w", list.Objects[0].Key, ErrLocked, err)
		case err != nil:
			return err
		case len(result.Errors) == 0:
			return nil
		case !upstream.SpeaksOfLock(result.Errors[0].Message):
			return fmt.Errorf("delete %s: %s: %s", result.Errors[0].Key, result.Errors[0].Code, result.Errors[0].Message)
		case h != nil:
			return fmt.Errorf("delete %s: %w", result.Errors[0].Key, ErrLocked)
		}
	}
	return nil
}
