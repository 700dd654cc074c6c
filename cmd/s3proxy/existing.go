package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy"
	"github.com/s3proxy/s3proxy/proxy/object"
)

// existingOptions are the flags of encrypt-existing.
type existingOptions struct {
	dryRun, json, onlyWriter bool
	pace                     pace
}

// encryptedExisting is what encrypt-existing tells of a place; the JSON names are part of
// the interface.
type encryptedExisting struct {
	Bucket string `json:"bucket"`
	Prefix string `json:"prefix"`
	*rewritten
	// OldVersions that are not encrypted.
	OldVersions int               `json:"old-versions-not-encrypted"`
	Unseen      map[string]string `json:"unseen"` // old versions that could not be looked at
	// Done says that nothing is left that a client could read as current.
	Done bool `json:"allow-plaintext-reads-can-be-switched-off"`
}

func encryptPlace(ctx context.Context, s *stores, at place, o existingOptions, errOut io.Writer, log *slog.Logger) (*encryptedExisting, error) {
	b, err := s.bucket(ctx, at.bucket)
	if err != nil {
		return nil, err
	}
	if b.Plain {
		return nil, errors.New("the bucket is configured without encryption: change that first, and restart serve")
	}
	if !b.AllowPlaintextReads && !o.dryRun {
		log.Warn("these settings have no allow-plaintext-reads for the bucket: a proxy that has none either gives its clients nothing that is not encrypted yet", "bucket", at.bucket)
	}
	r := &rewrite{
		bucket: at.bucket, prefix: at.prefix, pace: o.pace, dryRun: o.dryRun, log: log,
		walker:  proxy.Walker{Store: b.Upstream, Place: s.c.State},
		renewer: proxy.NewRenewer(b, s.c.State),
		due:     func(_ context.Context, _ string, m *envelope.Metadata) (bool, error) { return m == nil, nil },
	}
	r.renewer.OnlyWriter = o.onlyWriter
	r.change = func(ctx context.Context, key string, n *proxy.Renewal) error {
		return r.renewer.Encrypt(ctx, at.bucket, key, n)
	}
	found := &encryptedExisting{Bucket: at.bucket, Prefix: at.prefix}
	if found.rewritten, err = r.run(ctx, errOut); err != nil {
		return found, err
	}
	if !o.dryRun {
		if err := r.again(ctx, errOut, found.rewritten); err != nil {
			return found, err
		}
	}
	if err := found.countOld(ctx, r); err != nil {
		return found, err
	}
	found.Done = !o.dryRun && at.prefix == "" && found.Locked == 0 && found.Archived == 0 && len(found.Failed) == 0
	return found, nil
}

// countOld counts the versions that are not current and not encrypted.
func (e *encryptedExisting) countOld(ctx context.Context, r *rewrite) error {
	e.Unseen = map[string]string{}
	var plain atomic.Int64
	old := walk{pace: r.pace, errOut: io.Discard, list: func(ctx context.Context, visit func(proxy.Listed) error) error {
		return r.walker.OldVersions(ctx, e.Bucket, e.Prefix, visit)
	}}
	err := old.each(ctx, func(ctx context.Context, l proxy.Listed) error {
		found, err := object.Inspect(ctx, r.walker.Store, e.Bucket, l.Key, l.Version)
		gone, err := deletedSince(l, err)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case gone:
		case err != nil:
			e.mu.Lock()
			defer e.mu.Unlock()
			if len(e.Unseen) >= maxFailed {
				return fmt.Errorf("%w: %w", errTooMany, err)
			}
			e.Unseen[listedName(l)] = err.Error()
		case found.Metadata == nil:
			plain.Add(1)
		}
		return nil
	})
	e.OldVersions = int(plain.Load())
	return err
}
