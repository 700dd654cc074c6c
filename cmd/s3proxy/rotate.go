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

	"golang.org/x/sync/errgroup"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/state"
)

// rotateOptions are the flags of keys rotate.
type rotateOptions struct {
	newVersion, objects, dryRun, json bool
	onlyWriter                        bool
	from                              string // a KEK's name, or all of a key, once a place is rotated
	pace                              pace
	settle                            time.Duration
}

// isFrom tells whether a KEK is one that is to be rotated away from.
func (o *rotateOptions) isFrom(kek string) bool {
	base, _, _ := strings.Cut(kek, "#")
	return o.from == "" || kek == o.from || base == o.from
}

// rotated is what keys rotate tells of a bucket; the JSON names are part of the interface.
type rotated struct {
	Bucket    string            `json:"bucket"`
	KEK       string            `json:"kek"`
	Records   int               `json:"records"`
	Rewrapped int               `json:"rewrapped"`       // or would be, in a dry run
	Current   int               `json:"current"`         // of that KEK already
	Left      int               `json:"left"`            // of other KEKs than --from
	Failed    map[string]string `json:"failed"`          // reason by record id
	Floor     string            `json:"floor,omitempty"` // what became of the bucket's floor; "" where it has none
	Objects   *renewed          `json:"objects,omitempty"`
}

// fromKEK is what --from means for a bucket: the name of a KEK, or of all of a key.
func fromKEK(ctx context.Context, s *stores, bucket, given string) (string, error) {
	if given == "" {
		return "", nil
	}
	kek, known, err := s.namedKEK(ctx, bucket, given)
	switch {
	case err != nil:
		return "", fmt.Errorf("from %s: %w", given, err)
	case !known:
		return "", config.Usagef("from: no configured key of the bucket is called %s: keys that are not --kms go to --kms-read", given)
	}
	return kek, nil
}

// rotation is one run of the command over one place.
type rotation struct {
	rotateOptions
	stores *stores
	began  time.Time // the new version was there then
	errOut io.Writer
	log    *slog.Logger
}

// place rotates one bucket, in two passes: the second catches what a process wrapped
// meanwhile under the old version. With an error it tells what was done until then.
func (r *rotation) place(ctx context.Context, at place) (*rotated, error) {
	ring, records, err := r.stores.keyring(ctx, at.bucket)
	if err != nil {
		return nil, err
	}
	rewrapping, err := ring.NewRewrapping(ctx)
	if err != nil {
		return nil, err
	}
	found, err := r.records(ctx, at.bucket, rewrapping, records)
	if err != nil {
		return found, err
	}
	floor, err := r.floor(ctx, at.bucket, ring, rewrapping)
	if err != nil {
		return found, err
	}
	found.Floor = floor
	if r.objects {
		if found.Objects, err = renewObjects(ctx, r.stores, at.bucket, at.prefix, rewrapping, r.rotateOptions, r.errOut, r.log); err != nil {
			return found, err
		}
	}
	if r.dryRun {
		return found, nil
	}
	select { // also when this run found nothing to do: one before it may have been ended here
	case <-ctx.Done():
		return found, ctx.Err()
	case <-time.After(r.settle - time.Since(r.began)):
	}
	again, err := r.records(ctx, at.bucket, rewrapping, records)
	if err != nil {
		return found, err
	}
	again.Rewrapped += found.Rewrapped
	again.Current -= found.Rewrapped
	again.Floor = found.Floor
	if again.Objects = found.Objects; r.objects {
		err = again.Objects.again(ctx, rewrapping, r.errOut)
	}
	return again, err
}

// floor wraps the bucket's floor anew, if it has one, and tells what became of it.
func (r *rotation) floor(ctx context.Context, bucket string, ring *kms.Keyring, rewrapping *kms.Rewrapping) (string, error) {
	origin := cmp.Or(r.stores.c.Buckets[bucket].Alias, bucket)
	state, err := ring.ReadFloor(ctx, origin)
	if err != nil || state.ID == "" {
		return "", err
	}
	if r.dryRun || r.from != "" && !slices.ContainsFunc(state.KEKs, r.isFrom) {
		return "left", nil
	}
	changed, err := ring.RewrapFloor(ctx, origin, rewrapping.KEK())
	switch {
	case errors.Is(err, kms.ErrFloorNotNamed):
		r.log.Warn("the bucket's floor was left under its key", "bucket", bucket, "error", err)
		return "left", nil
	case err != nil:
		return "", err
	case changed:
		return "rewrapped", nil
	}
	return "current", nil
}

// newVersions rotates each key for writing of the buckets once.
func newVersions(ctx context.Context, c *config.Config, stores *stores, places []place, out io.Writer, quiet bool) error {
	done := map[string]bool{}
	for _, at := range places {
		uri, _, err := c.KeyURIs(at.bucket)
		if err != nil {
			return err
		}
		if done[uri] {
			continue
		}
		done[uri] = true
		key, err := stores.key(ctx, uri)
		if err != nil {
			return err
		}
		rotator, can := key.(kms.Rotator)
		if !can {
			return fmt.Errorf("%s: this KMS makes no new version by command: name a new key, or move the alias", uri)
		}
		kek, err := rotator.Rotate(ctx)
		if err != nil {
			return fmt.Errorf("%s: a new version: %w", uri, err)
		}
		if !quiet {
			fmt.Fprintf(out, "New version: %s\n", kek)
		}
	}
	return nil
}

// records is one pass over a bucket's window records.
func (r *rotation) records(ctx context.Context, bucket string, rewrapping *kms.Rewrapping, records state.Records) (*rotated, error) {
	origin := cmp.Or(r.stores.c.Buckets[bucket].Alias, bucket)
	found := &rotated{Bucket: bucket, KEK: rewrapping.KEK(), Failed: map[string]string{}}
	var ids []string
	if err := records.List(ctx, origin, func(l state.ListedRecord) error { ids = append(ids, l.ID); return nil }); err != nil {
		return nil, err
	}
	found.Records = len(ids)
	bar := newBar(r.errOut, len(ids), "records")
	defer bar.Finish()
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(r.pace.concurrency)
	for _, id := range ids {
		group.Go(func() error {
			outcome, err := rotateRecord(ctx, rewrapping, records, origin, id, r.rotateOptions)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			mu.Lock()
			defer mu.Unlock()
			bar.Increment()
			switch {
			case err != nil:
				found.Failed[id] = err.Error()
				r.log.Warn("a window record was left as it is", "bucket", bucket, "record", id, "error", err)
			case outcome == recordRewrapped:
				found.Rewrapped++
			case outcome == recordCurrent:
				found.Current++
			case outcome == recordLeft:
				found.Left++
			case outcome == recordGone:
				found.Records--
			}
			return nil
		})
	}
	return found, group.Wait()
}

type recordOutcome int

const (
	recordRewrapped recordOutcome = iota
	recordCurrent
	recordLeft
	recordGone
)

// maxRaces bounds how often a record is looked at again that another rotation changes.
const maxRaces = 5

func rotateRecord(ctx context.Context, rewrapping *kms.Rewrapping, records state.Records, bucket, id string, o rotateOptions) (recordOutcome, error) {
	var err error
	for range maxRaces {
		var record []byte
		var etag string
		record, etag, err = records.Read(ctx, bucket, id)
		if errors.Is(err, kms.ErrNoRecord) {
			return recordGone, nil
		}
		if err != nil {
			return 0, err
		}
		kek, parseErr := kms.RecordKEK(record)
		if parseErr != nil {
			return 0, parseErr
		}
		if !o.isFrom(kek) && kek != rewrapping.KEK() {
			return recordLeft, nil
		}
		fresh, _, changed, wrapErr := rewrapping.Record(ctx, bucket, id, record)
		if wrapErr != nil {
			return 0, wrapErr
		}
		if !changed {
			return recordCurrent, nil
		}
		if o.dryRun {
			return recordRewrapped, nil
		}
		if err = records.Replace(ctx, bucket, id, etag, fresh); err == nil {
			return recordRewrapped, nil
		}
		if !errors.Is(err, state.ErrRaced) {
			return 0, err
		}
	}
	return 0, err
}
