package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/proxy"
)

// gcOptions are the flags that only gc has.
type gcOptions struct {
	dryRun, json, records bool
	grace, recordsGrace   time.Duration
	pace                  pace
}

func gcCommand() *cobra.Command {
	var o gcOptions
	cmd := &cobra.Command{
		Use:   "gc s3://bucket [s3://bucket ...]",
		Short: "Remove what is left of multipart uploads that no longer exist",
		Long: `Looks at the state that s3proxy keeps of multipart uploads, asks the store for each
of them, and removes what belongs to none. Uploads that the store has are never
touched. An upload that is gone without having become the object is looked at
twice, --grace apart: some stores hide an upload while it is being completed.
serve does the same every hour in the buckets that it uses. State under a
retention is left for a later run.

With --records it removes window records instead: those that no object, version or
upload in progress names, once they are older than --records-grace. It looks at all
of the bucket's metadata for that, and removes nothing if it could not look at
something. Objects that are put back later from a copy of the store need their
records from that copy too.

Exit code 1 when a bucket, an object or an upload could not be looked at.`,
		Example: `  s3proxy gc s3://photos --dry-run
  s3proxy gc --records s3://photos
  s3proxy gc s3://photos s3://backups --json --upstream https://s3.example.com`,
		Args: someArgs("the buckets to look at, s3://bucket"),
		RunE: func(cmd *cobra.Command, args []string) error {
			buckets, err := parseEach(args, parseBucketURL)
			if err != nil {
				return err
			}
			if o.grace < 0 || o.recordsGrace < 0 {
				return config.Usagef("a time of grace cannot be negative")
			}
			if err := o.pace.check(); err != nil {
				return err
			}
			for _, name := range []string{"records-grace", "concurrency", "rate"} {
				if !o.records && cmd.Flags().Changed(name) {
					return config.Usagef("%s goes with --records", name)
				}
			}
			c, err := config.Load(cmd.Flags())
			if err != nil {
				return err
			}
			if 0 < o.recordsGrace && o.recordsGrace < 2*c.KeyWindow {
				return config.Usagef("records-grace %v is less than two windows of keys (key-window is %v)", o.recordsGrace, c.KeyWindow)
			}
			return gc(cmd.Context(), c, buckets, o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	config.StoreFlags(cmd.Flags())
	o.pace.add(cmd.Flags())
	cmd.Flags().BoolVar(&o.records, "records", false, "remove window records that nothing names, instead")
	cmd.Flags().DurationVar(&o.recordsGrace, "records-grace", recordsGrace, "how old such a record must be: more than a window and the longest write; 0 only where nobody writes")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "look, and remove nothing")
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON, one line a bucket")
	cmd.Flags().DurationVar(&o.grace, "grace", proxy.DefaultGrace, "how long an upload must have been gone; 0 only where no other program uses the bucket")
	return cmd
}

func gc(ctx context.Context, c *config.Config, buckets []string, o gcOptions, out, errOut io.Writer) error {
	log := newLogger(c, errOut)
	stores, err := openStores(ctx, c, log)
	if err != nil {
		return err
	}
	defer stores.close()
	var failed []error
	for _, bucket := range buckets {
		if err := stores.reach(ctx, bucket); err != nil {
			failed = append(failed, fmt.Errorf("s3://%s: %w", bucket, err))
			continue
		}
		if o.records {
			found, err := gcRecords(ctx, stores, bucket, o, errOut, log)
			if err != nil {
				failed = append(failed, fmt.Errorf("s3://%s: %w", bucket, err))
				continue
			}
			if err := found.print(out, o); err != nil {
				return err
			}
			failed = append(failed, found.err())
			continue
		}
		if err := gcUploads(ctx, stores, bucket, o, out, log); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

func (r *removedRecords) print(out io.Writer, o gcOptions) error {
	if o.json {
		return json.NewEncoder(out).Encode(r)
	}
	verb := "removed"
	if o.dryRun {
		verb = "would be removed"
	}
	_, err := fmt.Fprintf(out, "s3://%s: %d of %d window records %s, %d named, %d not named but younger than %v (before the oldest upload in progress), %d locked, %d foreign, %d failed\n",
		r.Bucket, r.Removed, r.Records, verb, r.Named, r.Young, o.recordsGrace, r.Locked, r.Foreign, len(r.Failed))
	printReasons(out, "", r.Failed)
	printReasons(out, "not looked at: ", r.Unseen)
	return err
}
