package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/ops"
	"github.com/s3proxy/s3proxy/proxy/multipart"
)

// gcFlags are the flags of gc.
type gcFlags struct {
	bucketFlags
	records             bool
	grace, recordsGrace time.Duration
}

func gcCommand() *cobra.Command {
	var o gcFlags
	cmd := &cobra.Command{
		Use:   "gc s3://bucket...|--all-buckets",
		Short: "Remove what is left of multipart uploads that no longer exist",
		Long: `Removes the state that s3proxy keeps for multipart uploads which the store no longer
has. It asks the store for each of them, and never touches uploads that the store
has. If an upload is gone but has not become the object, gc looks twice, --grace
apart: some stores hide an upload while it is being completed. serve does the same
every hour in the buckets that it uses. State under a retention is left for a later
run.

With --records it removes window records instead: copies of wrapped keys, one for
each bucket and hour or so (the "window") in which a proxy wrote. It removes those
that no object, version or upload in progress names, once they are older than
--records-grace. To find them it looks at all of the bucket's metadata, and removes
nothing if there is anything that it could not look at. If you later restore objects
from a copy of the store, restore their records from that copy too.

The exit code is 1 if gc could not look at a bucket, an object or an upload.`,
		Example: `  s3proxy gc s3://photos --dry-run
  s3proxy gc --records s3://photos
  s3proxy gc --all-buckets
  s3proxy gc s3://photos s3://backups --json --upstream https://s3.example.com`,
		Args: o.args("the buckets to look at, s3://bucket"),
		RunE: func(cmd *cobra.Command, args []string) error {
			buckets, c, err := prepare(cmd, args, parseBucketURL, func([]ops.Target) error { return o.check(cmd.Flags()) })
			if err != nil {
				return err
			}
			if 0 < o.recordsGrace && o.recordsGrace < 2*c.KeyWindow {
				return config.Usagef("records-grace is %v, but must be at least twice key-window (%v)", o.recordsGrace, c.KeyWindow)
			}
			return o.run(cmd, c, buckets)
		},
	}
	config.StoreFlags(cmd.Flags())
	f := cmd.Flags()
	o.add(f, "bucket")
	o.addAll(f)
	o.addDryRun(f, "remove")
	f.BoolVar(&o.records, "records", false, "remove window records that nothing names, instead of the state of uploads")
	f.DurationVar(&o.recordsGrace, "records-grace", ops.DefaultRecordsGrace, "how old such a record must be: longer than a window and the longest write; 0 only if nobody writes")
	f.DurationVar(&o.grace, "grace", multipart.DefaultGrace, "how long an upload must have been gone; 0 only if no other program uses the bucket")
	return cmd
}

func (o *gcFlags) check(given *pflag.FlagSet) error {
	if o.grace < 0 || o.recordsGrace < 0 {
		return config.Usagef("grace and records-grace cannot be negative")
	}
	for _, name := range []string{"records-grace", "rate"} {
		if !o.records && given.Changed(name) {
			return config.Usagef("%s goes with --records", name)
		}
	}
	return o.bucketFlags.check()
}

func (o *gcFlags) run(cmd *cobra.Command, c *config.Config, buckets []ops.Target) error {
	if o.records {
		return overBuckets(cmd, c, &o.bucketFlags, buckets, forEach(func(job ops.Job, at ops.Target) ops.Plan[*ops.SweptRecords] {
			return &ops.SweepRecords{Job: job, Bucket: at.Bucket, Grace: o.recordsGrace}
		}), o.printRecords)
	}
	return overBuckets(cmd, c, &o.bucketFlags, buckets, forEach(func(job ops.Job, at ops.Target) ops.Plan[*ops.SweptUploads] {
		return &ops.SweepUploads{Job: job, Bucket: at.Bucket, Grace: o.grace}
	}), o.printUploads)
}

func (o *gcFlags) verb() string {
	if o.dryRun {
		return "would be removed"
	}
	return "removed"
}

func (o *gcFlags) printUploads(out io.Writer, found *ops.SweptUploads) error {
	_, err := fmt.Fprintf(out, "s3://%s: state of %d uploads %s, %d live, %d gone for less than %v, %d locked, %d foreign, %d failed\n",
		found.Outcome.Bucket, found.Removed, o.verb(), found.Live, found.Waiting, o.grace, found.Locked, found.Foreign, len(found.Failed))
	printReasons(out, "", found.Failed)
	return err
}

func (o *gcFlags) printRecords(out io.Writer, r *ops.SweptRecords) error {
	_, err := fmt.Fprintf(out, "s3://%s: %d of %d window records %s, %d named, %d not named but younger than %v (before the oldest upload in progress), %d locked, %d foreign, %d failed\n",
		r.Bucket, r.Removed, r.Records, o.verb(), r.Named, r.Young, o.recordsGrace, r.Locked, r.Foreign, len(r.Failed))
	printReasons(out, "", r.Failed)
	printReasons(out, "not looked at: ", r.Unreadable)
	return err
}
