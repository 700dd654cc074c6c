package ops

import (
	"context"
	"strings"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/inplace"
	"github.com/s3proxy/s3proxy/proxy/multipart"
)

// Renewed is the part of a rotation's report about objects.
type Renewed struct {
	*Rewritten
	// What cannot be renewed in place, and is not under the current KEK or was not looked at:
	OldVersions int `json:"old-versions"`
	Uploads     int `json:"uploads"`

	rewrite *rewrite
}

// renewObjects is the first pass of a rotation over objects: each whose metadata names another KEK
// is written again with metadata of the current one, and nothing else changed.
func (r *rotation) renewObjects(ctx context.Context, b *Bucket, to *kms.Rewrapping) (*Renewed, error) {
	if b.Served.Passthrough {
		return nil, errPassthrough
	}
	w := newRewrite(b, r.at.Prefix, r.Job, r.OnlyWriter)
	w.due = func(_ context.Context, _ string, m *envelope.Metadata) (bool, error) {
		return m != nil && m.KEK != to.KEK() && r.isFrom(m.KEK), nil
	}
	w.change = func(ctx context.Context, key string, n *inplace.Renewal) error {
		meta, err := b.Keyring.WrapKey(ctx, kms.Name{Bucket: b.Origin, Key: key, Kind: n.Meta.Kind}, n.DEK)
		if err != nil {
			return err
		}
		meta.Facts = n.Meta.Facts
		n.Meta = meta
		return nil
	}
	found := &Renewed{rewrite: w}
	var err error
	if w.uploading, err = uploading(ctx, w.walker, b.Name, r.at.Prefix); err != nil {
		return nil, err
	}
	if found.Rewritten, err = w.run(ctx); err != nil {
		return found, err
	}
	if err := w.renewSettings(ctx, b.Served); err != nil {
		return found, err
	}
	return found, found.countLeft(ctx, to.KEK())
}

// uploading gives the keys below a prefix that uploads in progress will write to.
func uploading(ctx context.Context, w walker, bucket, prefix string) (map[string]bool, error) {
	keys := map[string]bool{}
	return keys, w.Uploads(ctx, bucket, func(u multipart.InProgress) error {
		if strings.HasPrefix(u.Key, prefix) {
			keys[u.Key] = true
		}
		return nil
	})
}

// again is a further pass, after all processes have seen the new version.
func (r *Renewed) again(ctx context.Context, to *kms.Rewrapping) error {
	if err := r.rewrite.again(ctx, r.Rewritten); err != nil {
		return err
	}
	return r.countLeft(ctx, to.KEK())
}

// countLeft counts what cannot be written again in place.
func (r *Renewed) countLeft(ctx context.Context, kek string) error {
	r.OldVersions, r.Uploads = 0, 0
	w := r.rewrite.walker
	if err := w.OldVersions(ctx, r.rewrite.bucket, r.rewrite.prefix, func(listed) error { r.OldVersions++; return nil }); err != nil {
		return err
	}
	return w.Uploads(ctx, r.rewrite.bucket, func(u multipart.InProgress) error {
		if u.Meta.KEK != kek && strings.HasPrefix(u.Key, r.rewrite.prefix) {
			r.Uploads++
		}
		return nil
	})
}
