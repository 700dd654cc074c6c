package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/ops"
)

// rotateFlags are the flags of keys rotate.
type rotateFlags struct {
	bucketFlags
	newVersion, objects bool
	from                string
	settle              time.Duration
}

func keysRotateCommand() *cobra.Command {
	var o rotateFlags
	cmd := &cobra.Command{
		Use:   "rotate s3://bucket[/prefix]...|--all-buckets",
		Short: "Rewrap the window records of buckets under the current version of the key",
		Long: `Rewraps every window record of the buckets under the current version of the key that
--kms names. A window key wraps the keys of the objects that a proxy writes to a bucket
in an hour (the "window"); its window record is a copy of it in the bucket, wrapped by
the key in the KMS. No object is read or written: ETags, dates, versions and locks stay,
and locked, archived and old versions are rotated too. Clients may read and write
meanwhile; further passes catch a process that makes a window under the old version. If
a run is interrupted, run it again.

Keys that only --kms-read names open what is to be rewrapped: that is how records
move from one KMS to another.

With --objects the command renews the metadata of each object too, in place: it writes
the object again as it is, on the condition that nobody else has written it, so that it
needs no window record. Bytes, ETag, parts, content type, user metadata, tags, ACL,
storage class, legal hold, retention and redirect stay; Last-Modified does not, and in a
versioned bucket each renewal is a new version. If a client writes at the same time, its
write wins. Versions that are not current, and locked objects where the store lets
nobody write them, cannot be renewed in this way; the records cover them.`,
		Example: `  s3proxy keys rotate --new-version s3://photos s3://archive
  s3proxy keys rotate --all-buckets --json --progress json
  s3proxy keys rotate --kms localfile:///etc/s3proxy/new.json --kms-read localfile:///etc/s3proxy/old.json s3://photos
  s3proxy keys rotate --dry-run --json s3://photos
  s3proxy keys rotate --objects --rate 100 s3://photos/2026/`,
		Args: o.args("the buckets, s3://bucket"),
		RunE: func(cmd *cobra.Command, args []string) error {
			targets, c, err := prepare(cmd, args, parseTarget, o.check)
			if err != nil {
				return err
			}
			return overBuckets(cmd, c, &o.bucketFlags, targets, func(ctx context.Context, job ops.Job, targets []ops.Target) ([]ops.Plan[*ops.Rotated], error) {
				return o.plan(ctx, job, targets, cmd.OutOrStdout())
			}, func(out io.Writer, r *ops.Rotated) error { return printRotated(out, r, o.dryRun) })
		},
	}
	config.StoreFlags(cmd.Flags())
	f := cmd.Flags()
	config.WindowFlags(f)
	o.add(f, "bucket")
	o.addAll(f)
	o.addOnlyWriter(f)
	o.addDryRun(f, "change")
	f.BoolVar(&o.objects, "objects", false, "renew the metadata of each object too, in place")
	f.BoolVar(&o.newVersion, "new-version", false, "make a new version of the key first (local key file, Vault)")
	f.StringVar(&o.from, "from", "", "only what is wrapped by this key: a `URI` of --kms or --kms-read, with or without #version, or a version alone")
	f.DurationVar(&o.settle, "settle", 15*time.Second, "how long running proxies may go on with an older version before the last pass, which catches what they wrote; 0 if none is running")
	return cmd
}

func (o *rotateFlags) check(targets []ops.Target) error {
	for _, at := range targets {
		if at.Prefix != "" && !o.objects {
			return config.Usagef("%v: records belong to a whole bucket: a prefix needs --objects", at)
		}
	}
	if err := o.bucketFlags.check(); err != nil {
		return err
	}
	switch {
	case o.settle < 0:
		return config.Usagef("settle cannot be negative")
	case o.onlyWriter && !o.objects:
		return config.Usagef("%s needs --objects", onlyWriterFlag)
	case o.rate.PerSecond > 0 && !o.objects:
		return config.Usagef("rate needs --objects: records are few")
	case o.newVersion && o.dryRun:
		return config.Usagef("new-version changes the key: it cannot be used with dry-run")
	}
	return nil
}

// plan makes the new version, if one is wanted, once nothing prevents the rotation.
func (o *rotateFlags) plan(ctx context.Context, job ops.Job, targets []ops.Target, out io.Writer) ([]ops.Plan[*ops.Rotated], error) {
	plans, err := ops.PlanRotations(ctx, ops.Rotate{Job: job, OnlyWriter: o.writer(), Objects: o.objects, From: o.from, Settle: o.settle}, targets)
	if err != nil || !o.newVersion {
		return plans, err
	}
	return plans, newVersions(ctx, job, plans, out, o.json)
}

// newVersions makes new versions of the buckets' keys and prints their names.
func newVersions[R ops.Report](ctx context.Context, job ops.Job, plans []ops.Plan[R], out io.Writer, quiet bool) error {
	return ops.NewVersions(ctx, job, plans, func(kek string) {
		if !quiet {
			fmt.Fprintf(out, "New version: %s\n", kek)
		}
	})
}

func printRotated(out io.Writer, r *ops.Rotated, dryRun bool) error {
	verb := "rewrapped"
	if dryRun {
		verb = "would be rewrapped"
	}
	_, err := fmt.Fprintf(out, "s3://%s: %d of %d records %s under %s, %d were already, %d left, %d failed\n", r.Bucket, r.Rewrapped, r.Records, verb, r.KEK, r.Current, r.Left, len(r.Failed))
	if r.Floor != "" {
		fmt.Fprintf(out, "  the bucket's floor: %s\n", r.Floor)
	}
	printReasons(out, "", r.Failed)
	if r.Objects != nil && err == nil {
		err = printRenewed(out, r, dryRun)
	}
	return err
}

func printRenewed(out io.Writer, rotated *ops.Rotated, dryRun bool) error {
	r := rotated.Objects
	verb := "renewed under " + rotated.KEK
	if dryRun {
		verb = "would be renewed under " + rotated.KEK
	}
	if err := printRewritten(out, r.Rewritten, rotated.Place().String(), verb); err != nil {
		return err
	}
	for _, left := range []struct {
		n    int
		what string
	}{
		{r.Locked, "objects under retention or legal hold cannot be renewed in place"},
		{r.Archived, "archived objects cannot be read until they are restored"},
		{r.OldVersions, "versions that are not current cannot be renewed in place"},
		{r.Uploads, "uploads in progress have a key of another version"},
	} {
		if left.n > 0 {
			fmt.Fprintf(out, "  %d %s: the window records cover them, unless they were written in window 0 (ask keys status --objects)\n", left.n, left.what)
		}
	}
	return nil
}
