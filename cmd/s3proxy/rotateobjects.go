package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy"
)

// renewed is what keys rotate --objects tells of a bucket.
type renewed struct {
	*rewritten
	Prefix string `json:"prefix"`
	// What cannot be renewed in place, and is not of the current KEK or not looked at.
	OldVersions int `json:"old-versions"`
	Uploads     int `json:"uploads"`

	rewrite *rewrite
}

// renewObjects is the first pass of a rotation over objects: each whose metadata names
// another KEK is written again with metadata of the current one, and nothing else changed.
func renewObjects(ctx context.Context, s *stores, bucket, prefix string, rewrapping *kms.Rewrapping, o rotateOptions, errOut io.Writer, log *slog.Logger) (*renewed, error) {
	b, err := s.bucket(ctx, bucket)
	if err != nil {
		return nil, err
	}
	if b.Plain {
		return nil, errors.New("the bucket is configured without encryption")
	}
	r := &rewrite{
		bucket: bucket, prefix: prefix, pace: o.pace, dryRun: o.dryRun, log: log,
		walker:  proxy.Walker{Store: b.Upstream, Place: s.c.State},
		renewer: proxy.NewRenewer(b, s.c.State),
		due: func(_ context.Context, _ string, m *envelope.Metadata) (bool, error) {
			return m != nil && m.KEK != rewrapping.KEK() && o.isFrom(m.KEK), nil
		},
		change: func(ctx context.Context, key string, n *proxy.Renewal) error {
			meta, err := b.Keyring.WrapKey(ctx, kms.Name{Bucket: cmp.Or(b.Origin, bucket), Key: key, Kind: n.Meta.Kind}, n.DEK)
			if err != nil {
				return err
			}
			meta.Facts = n.Meta.Facts
			n.Meta = meta
			return nil
		},
	}
	r.renewer.OnlyWriter = o.onlyWriter
	found := &renewed{Prefix: prefix, rewrite: r}
	if r.uploading, err = uploading(ctx, r.walker, bucket, prefix); err != nil {
		return nil, err
	}
	if found.rewritten, err = r.run(ctx, errOut); err != nil {
		return found, err
	}
	return found, found.countLeft(ctx, rewrapping.KEK())
}

// uploading are the keys below a prefix that uploads in progress will write to.
func uploading(ctx context.Context, w proxy.Walker, bucket, prefix string) (map[string]bool, error) {
	keys := map[string]bool{}
	return keys, w.Uploads(ctx, bucket, func(u proxy.InProgress) error {
		if strings.HasPrefix(u.Key, prefix) {
			keys[u.Key] = true
		}
		return nil
	})
}

// again is the further pass, after all processes have seen the new version.
func (r *renewed) again(ctx context.Context, rewrapping *kms.Rewrapping, errOut io.Writer) error {
	if err := r.rewrite.again(ctx, errOut, r.rewritten); err != nil {
		return err
	}
	return r.countLeft(ctx, rewrapping.KEK())
}

// countLeft counts what cannot be written again in place.
func (r *renewed) countLeft(ctx context.Context, kek string) error {
	r.OldVersions, r.Uploads = 0, 0
	w := r.rewrite.walker
	if err := w.OldVersions(ctx, r.rewrite.bucket, r.Prefix, func(proxy.Listed) error { r.OldVersions++; return nil }); err != nil {
		return err
	}
	return w.Uploads(ctx, r.rewrite.bucket, func(u proxy.InProgress) error {
		if u.Meta.KEK != kek && strings.HasPrefix(u.Key, r.Prefix) {
			r.Uploads++
		}
		return nil
	})
}
