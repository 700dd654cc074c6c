package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/state"
)

// rekeyOptions are the flags of keys rekey.
type rekeyOptions struct {
	newVersion, dryRun, json, onlyWriter bool
	discard, leaveBehind, keyIsNew       bool
	resume                               string
	stolen                               []string
	pace                                 pace
	settle                               time.Duration
}

// rekeyed is what keys rekey tells of a bucket; the JSON names are part of the interface.
type rekeyed struct {
	Bucket string `json:"bucket"`
	KEK    string `json:"kek"`
	Floor  string `json:"floor"`
	Closed bool   `json:"closed"`
	*rewritten
	// What cannot be encrypted again in place, and is below the floor.
	OldVersions int               `json:"old-versions"`
	Uploads     int               `json:"uploads"`
	Records     int               `json:"records-removed"`  // of windows from before
	First       []string          `json:"first,omitempty"`  // some of these, by name
	Unseen      map[string]string `json:"unseen,omitempty"` // what could not be looked at, and why
}

// left counts what is below the floor still.
func (r *rekeyed) left() int {
	return len(r.Failed) + r.Locked + r.Archived + r.OldVersions + r.Uploads + len(r.Unseen)
}

// rekeying is the work on one bucket.
type rekeying struct {
	rekeyOptions
	ring    *kms.Keyring
	records state.Records
	origin  string // the name that the keys are bound to
	refused []string
	rewrite *rewrite
	found   *rekeyed
	out     io.Writer
	errOut  io.Writer
}

// newRekeying looks at the bucket, and at the KEKs that a thief may have.
func newRekeying(ctx context.Context, s *stores, bucket string, o rekeyOptions, out, errOut io.Writer, log *slog.Logger) (*rekeying, error) {
	if err := s.reach(ctx, bucket); err != nil {
		return nil, err
	}
	b, err := s.bucket(ctx, bucket)
	if err != nil {
		return nil, err
	}
	if b.Plain {
		return nil, errors.New("the bucket is configured without encryption")
	}
	ring, records, err := s.keyring(ctx, bucket)
	if err != nil {
		return nil, err
	}
	r := &rekeying{
		rekeyOptions: o, ring: ring, records: records, origin: cmp.Or(b.Origin, bucket), out: out, errOut: errOut,
		found: &rekeyed{Bucket: bucket, rewritten: &rewritten{Failed: map[string]string{}}, Unseen: map[string]string{}},
		rewrite: &rewrite{
			bucket: bucket, pace: o.pace, dryRun: o.dryRun, log: log,
			walker:  proxy.Walker{Store: b.Upstream, Place: s.c.State},
			renewer: proxy.NewRenewer(b, s.c.State),
		},
	}
	r.rewrite.renewer.OnlyWriter = o.onlyWriter
	r.rewrite.due = func(ctx context.Context, key string, m *envelope.Metadata) (bool, error) {
		return r.below(ctx, key, "", m)
	}
	r.rewrite.change = func(ctx context.Context, key string, n *proxy.Renewal) error {
		return r.rewrite.renewer.Rekey(ctx, bucket, key, n)
	}
	if o.resume == "" && !o.dryRun { // else nothing begins: the floor says what it refuses
		if r.refused, err = r.stolenKEKs(ctx); err != nil {
			return nil, err
		}
		named, err := namedStolen(ctx, s, bucket, o.stolen)
		if err != nil {
			return nil, err
		}
		r.refused = append(r.refused, named...)
	}
	return r, nil
}

// below tells whether what carries this metadata is to be encrypted again.
func (r *rekeying) below(ctx context.Context, key, upload string, m *envelope.Metadata) (bool, error) {
	if m == nil {
		return false, nil
	}
	if r.found.Floor == "" { // a dry run: everything is
		return true, nil
	}
	dek, err := r.ring.OpenKey(ctx, kms.Name{Bucket: r.origin, Key: key, Kind: m.Kind, UploadID: upload}, m)
	if err != nil {
		return false, err
	}
	defer dek.Destroy()
	current, err := r.ring.IsCurrent(ctx, r.origin, dek)
	return !current, err
}

func (r *rekeying) run(ctx context.Context) (err error) {
	if r.dryRun {
		r.found.rewritten, err = r.rewrite.run(ctx, r.errOut)
		return err
	}
	floor, err := r.ring.OpenFloor(ctx, r.origin, r.refused, r.resume, r.discard)
	if err != nil {
		return err
	}
	r.found.Floor, r.found.KEK = floor.ID, strings.Join(floor.KEKs, " ")
	if !r.json {
		fmt.Fprintf(r.out, "s3://%s: the floor %s is open. A run that is ended goes on with --resume %s\n", r.found.Bucket, floor.ID, floor.ID)
	}
	if err := wait(ctx, r.settle); err != nil { // all proxies write under it now
		return err
	}
	if r.rewrite.uploading, err = uploading(ctx, r.rewrite.walker, r.found.Bucket, ""); err != nil {
		return err
	}
	if r.found.rewritten, err = r.rewrite.run(ctx, r.errOut); err != nil {
		return err
	}
	// An upload from before may become an object as long as it is there: first see that there
	// is none, then look again at what was written meanwhile.
	if err := r.countUploads(ctx); err != nil {
		return err
	}
	if err := r.rewrite.again(ctx, r.errOut, r.found.rewritten); err != nil {
		return err
	}
	if err := r.countOldVersions(ctx); err != nil {
		return err
	}
	if r.found.left() > 0 && !r.leaveBehind {
		return nil
	}
	if err := r.ring.CloseFloor(ctx, r.origin, floor.ID); err != nil {
		return err
	}
	r.found.Closed = true
	return r.removeRecords(ctx, floor.Refused)
}

// removeRecords removes the window records that old KEKs wrap: nothing under a closed floor is
// of such a window, and no rotation could wrap them anew once those KEKs are gone.
func (r *rekeying) removeRecords(ctx context.Context, refused []string) error {
	return eachRecordKEK(ctx, r.records, r.origin, func(id, kek string) error {
		if !slices.Contains(refused, kek) {
			return nil
		}
		err := r.records.Remove(ctx, r.origin, id)
		switch {
		case errors.Is(err, state.ErrLocked): // for a minute; gc --records finds it
			return nil
		case err == nil:
			r.found.Records++
		}
		return err
	})
}

// wait is a pause that ends with ctx.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// countUploads counts the uploads in progress that will become objects below the floor.
func (r *rekeying) countUploads(ctx context.Context) error {
	r.found.Uploads = 0
	return r.rewrite.walker.Uploads(ctx, r.found.Bucket, func(u proxy.InProgress) error {
		below, err := r.below(ctx, u.Key, u.ID, u.Meta)
		name := fmt.Sprintf("upload of %q", u.Key)
		switch {
		case err != nil:
			r.found.Unseen[name] = err.Error()
		case below:
			r.found.Uploads++
			r.name(name)
		}
		return nil
	})
}

// countOldVersions counts the versions that are not current and below the floor.
func (r *rekeying) countOldVersions(ctx context.Context) error {
	r.found.OldVersions = 0
	var mu sync.Mutex
	old := walk{pace: r.pace, errOut: io.Discard, list: func(ctx context.Context, visit func(proxy.Listed) error) error {
		return r.rewrite.walker.OldVersions(ctx, r.found.Bucket, "", visit)
	}}
	return old.each(ctx, func(ctx context.Context, l proxy.Listed) error {
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
			return ctx.Err()
		case gone:
		case err != nil:
			if len(r.found.Unseen) >= maxFailed {
				return fmt.Errorf("%w: %w", errTooMany, err)
			}
			r.found.Unseen[listedName(l)] = err.Error()
		case below:
			r.found.OldVersions++
			r.name(listedName(l))
		}
		return nil
	})
}

func (r *rekeying) name(what string) {
	if len(r.found.First) < maxFirst {
		r.found.First = append(r.found.First, what)
	}
}
