package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy"
)

// rotateOptions are the flags of keys rotate.
type rotateOptions struct {
	newVersion, dryRun, json bool
	from                     string
	concurrency              int
	settle                   time.Duration
}

// rotated is what keys rotate tells of a bucket; the JSON names are part of the interface.
type rotated struct {
	Bucket    string            `json:"bucket"`
	KEK       string            `json:"kek"`
	Records   int               `json:"records"`
	Rewrapped int               `json:"rewrapped"` // or would be, in a dry run
	Current   int               `json:"current"`   // of that KEK already
	Left      int               `json:"left"`      // of other KEKs than --from
	Failed    map[string]string `json:"failed"`    // reason by record id
}

func keysRotateCommand() *cobra.Command {
	var o rotateOptions
	cmd := &cobra.Command{
		Use:   "rotate s3://bucket...",
		Short: "Wrap the window records of buckets anew under the current version of the key",
		Long: `Wraps every window record of the buckets anew under the current version of the key
that --kms names. No object is read or written: ETags, dates, versions and locks
stay, and locked, archived and old versions rotate too. Clients may read and
write meanwhile; a process that makes a window under the old version is caught by
further passes. A run that was ended in the middle is simply started again.

Keys that only --kms-read names are opened and left: that is how records move
from one KMS to another.`,
		Example: `  s3proxy keys rotate --new-version s3://photos s3://archive
  s3proxy keys rotate --kms localfile:///etc/s3proxy/new.json --kms-read localfile:///etc/s3proxy/old.json s3://photos
  s3proxy keys rotate --dry-run --json s3://photos`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("keys rotate takes the buckets, s3://bucket")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var buckets []string
			for _, arg := range args {
				bucket, err := parseBucketURL(arg)
				if err != nil {
					return err
				}
				buckets = append(buckets, bucket)
			}
			if o.concurrency < 1 || o.settle < 0 {
				return usagef("concurrency is at least 1, and settle cannot be negative")
			}
			if o.newVersion && o.dryRun {
				return usagef("new-version changes the key: not in a dry-run")
			}
			c, err := loadConfig(cmd.Flags())
			if err != nil {
				return err
			}
			if o.from != "" && !strings.Contains(o.from, ":") {
				return usagef("from: %q is no URI of a key", o.from)
			}
			return rotate(cmd.Context(), c, buckets, o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	storeFlags(cmd.Flags())
	f := cmd.Flags()
	f.BoolVar(&o.newVersion, "new-version", false, "make a new version of the key first (local key file, Vault)")
	f.StringVar(&o.from, "from", "", "only records of this key: a `URI`, with or without #version")
	f.BoolVar(&o.dryRun, "dry-run", false, "look, and change nothing")
	f.IntVar(&o.concurrency, "concurrency", 8, "how many records at once")
	f.DurationVar(&o.settle, "settle", 15*time.Second, "after new-version: how long running proxies may go on with the old one before the last pass")
	f.BoolVar(&o.json, "json", false, "print JSON, one line a bucket")
	return cmd
}

func rotate(ctx context.Context, c *config, buckets []string, o rotateOptions, out, errOut io.Writer) error {
	log := newLogger(c, errOut)
	stores, err := openStores(ctx, c, log)
	if err != nil {
		return err
	}
	defer stores.close()
	if o.newVersion {
		if err := newVersions(ctx, c, stores, buckets, out, o.json); err != nil {
			return err
		}
	}
	began := time.Now()
	var failed []error
	for _, bucket := range buckets {
		found, err := rotateBucket(ctx, stores, bucket, o, errOut, log)
		if err == nil && !o.dryRun {
			// What a process wrapped meanwhile under the old version.
			wait := time.Duration(0)
			if o.newVersion {
				wait = o.settle - time.Since(began)
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(wait):
			}
			first := found.Rewrapped
			if found, err = rotateBucket(ctx, stores, bucket, o, errOut, log); err == nil {
				found.Rewrapped += first
				found.Current -= first
			}
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("s3://%s: %w", bucket, err))
			continue
		}
		if err := found.print(out, o); err != nil {
			return err
		}
		if n := len(found.Failed); n > 0 {
			failed = append(failed, fmt.Errorf("s3://%s: %d records could not be wrapped anew", bucket, n))
		}
	}
	return errors.Join(failed...)
}

// newVersions rotates each key for writing of the buckets once.
func newVersions(ctx context.Context, c *config, stores *stores, buckets []string, out io.Writer, quiet bool) error {
	done := map[string]bool{}
	for _, bucket := range buckets {
		uri, _ := c.keyURIs(c.buckets[bucket])
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

// rotateBucket is one pass over a bucket's records.
func rotateBucket(ctx context.Context, stores *stores, bucket string, o rotateOptions, errOut io.Writer, log *slog.Logger) (*rotated, error) {
	ring, records, err := stores.keyring(ctx, bucket)
	if err != nil {
		return nil, err
	}
	origin := orElse(stores.c.buckets[bucket].Alias, bucket)
	rewrapping, err := ring.NewRewrapping(ctx)
	if err != nil {
		return nil, err
	}
	found := &rotated{Bucket: bucket, KEK: rewrapping.KEK(), Failed: map[string]string{}}
	var ids []string
	if err := records.List(ctx, origin, func(id string) error { ids = append(ids, id); return nil }); err != nil {
		return nil, err
	}
	found.Records = len(ids)
	bar := newBar(errOut, len(ids), "records")
	defer bar.Finish()
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(o.concurrency)
	for _, id := range ids {
		group.Go(func() error {
			outcome, err := rotateRecord(ctx, rewrapping, records, origin, id, o)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			mu.Lock()
			defer mu.Unlock()
			bar.Increment()
			switch {
			case err != nil:
				found.Failed[id] = err.Error()
				log.Warn("a window record was left as it is", "bucket", bucket, "record", id, "error", err)
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

func rotateRecord(ctx context.Context, rewrapping *kms.Rewrapping, records proxy.Records, bucket, id string, o rotateOptions) (recordOutcome, error) {
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
		if base, _, _ := strings.Cut(kek, "#"); o.from != "" && kek != o.from && base != o.from && kek != rewrapping.KEK() {
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
		if !errors.Is(err, proxy.ErrRaced) {
			return 0, err
		}
	}
	return 0, err
}

func (r *rotated) print(out io.Writer, o rotateOptions) error {
	if o.json {
		return json.NewEncoder(out).Encode(r)
	}
	verb := "wrapped anew"
	if o.dryRun {
		verb = "would be wrapped anew"
	}
	_, err := fmt.Fprintf(out, "s3://%s: %d of %d records %s under %s, %d were already, %d left, %d failed\n", r.Bucket, r.Rewrapped, r.Records, verb, r.KEK, r.Current, r.Left, len(r.Failed))
	for id, why := range r.Failed {
		fmt.Fprintf(out, "  %s: %s\n", id, why)
	}
	return err
}
