package ops

import (
	"context"
	"errors"
	"fmt"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// sealedSettings are those of the proxy's own objects that have a key as clients' objects do. They
// are no objects to a walker: a few in a bucket, each asked for by its name.
var sealedSettings = []string{object.CORSRules}

// Settings visits the metadata of a bucket's sealed settings, or why it cannot be read.
func (w walker) Settings(ctx context.Context, bucket string, visit func(Item, *envelope.Metadata, error) error) error {
	b, err := state.ParseBucket(bucket)
	if err != nil {
		return err
	}
	for _, name := range sealedSettings {
		in, key := object.SettingPlace(w.Place, b, name)
		found, err := object.Inspect(ctx, w.Store, in, key, "")
		if upstream.IsNotFound(err) && !errors.Is(err, s3err.NoSuchBucket) {
			continue
		}
		var meta *envelope.Metadata
		if err == nil {
			meta = found.Metadata
		}
		if err := visit(Item{Setting: name}, meta, err); err != nil {
			return err
		}
	}
	return nil
}

// renewSettings seals the bucket's settings again that are due.
func (r *rewrite) renewSettings(ctx context.Context, served object.Settings) error {
	if r.dryRun {
		return nil
	}
	b, err := state.ParseBucket(r.bucket)
	if err != nil {
		return err
	}
	o := object.New(served, r.walker.Place, object.NewCache())
	for _, name := range sealedSettings {
		renewed, err := o.RenewSetting(ctx, b, name, r.due)
		switch {
		case object.Unreadable(err): // no proxy reads it either: the client has to put it again
			r.log.Warn("a bucket's setting cannot be opened: have its client put it again", "bucket", r.bucket, "setting", name, "error", err)
		case err != nil:
			return fmt.Errorf("seal the setting %s of s3://%s again: %w", name, r.bucket, err)
		case renewed:
			r.log.Info("a bucket's setting was sealed again", "bucket", r.bucket, "setting", name)
		}
	}
	return nil
}
