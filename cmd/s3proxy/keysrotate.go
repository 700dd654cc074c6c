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
)

func keysRotateCommand() *cobra.Command {
	var o rotateOptions
	cmd := &cobra.Command{
		Use:   "rotate s3://bucket[/prefix]...",
		Short: "Wrap the window records of buckets anew under the current version of the key",
		Long: `Wraps every window record of the buckets anew under the current version of the key
that --kms names. No object is read or written: ETags, dates, versions and locks
stay, and locked, archived and old versions rotate too. Clients may read and
write meanwhile; a process that makes a window under the old version is caught by
further passes. A run that was ended in the middle is simply started again.

Keys that only --kms-read names open what is to be wrapped anew: that is how
records move from one KMS to another.

With --objects the metadata of each object is renewed too, in place: the object is
written again as it is, on the condition that nobody else has written it, so that
it needs no window record. Bytes, ETag, parts, content type, user metadata, tags,
ACL, storage class, legal hold, retention and redirect stay; Last-Modified does
not, and in a versioned bucket each renewal is a new version. A client's write that
races wins. Versions that are not current, and locked objects where the store lets
nobody write them, cannot be renewed so; the records cover them.`,
		Example: `  s3proxy keys rotate --new-version s3://photos s3://archive
  s3proxy keys rotate --kms localfile:///etc/s3proxy/new.json --kms-read localfile:///etc/s3proxy/old.json s3://photos
  s3proxy keys rotate --dry-run --json s3://photos
  s3proxy keys rotate --objects --rate 100 s3://photos/2026/`,
		Args: someArgs("the buckets, s3://bucket"),
		RunE: func(cmd *cobra.Command, args []string) error {
			places, err := parseEach(args, parsePlace)
			if err != nil {
				return err
			}
			for _, at := range places {
				if at.prefix != "" && !o.objects {
					return config.Usagef("%v: a record is of a whole bucket; a prefix goes with --objects", at)
				}
			}
			if err := o.pace.check(); err != nil {
				return err
			}
			if o.settle < 0 {
				return config.Usagef("settle cannot be negative")
			}
			if o.onlyWriter && !o.objects {
				return config.Usagef("%s goes with --objects", onlyWriterFlag)
			}
			if o.pace.rate > 0 && !o.objects {
				return config.Usagef("rate goes with --objects: records are few")
			}
			if o.newVersion && o.dryRun {
				return config.Usagef("new-version changes the key: not in a dry-run")
			}
			c, err := config.Load(cmd.Flags())
			if err != nil {
				return err
			}
			return rotate(cmd.Context(), c, places, o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	config.StoreFlags(cmd.Flags())
	f := cmd.Flags()
	config.WindowFlags(f)
	o.pace.add(f)
	f.BoolVar(&o.objects, "objects", false, "renew the metadata of each object too, in place")
	f.BoolVar(&o.onlyWriter, onlyWriterFlag, false, "nobody else writes: go on though the store holds no PUT to its If-Match")
	f.BoolVar(&o.newVersion, "new-version", false, "make a new version of the key first (local key file, Vault)")
	f.StringVar(&o.from, "from", "", "only what is wrapped by this key: a `URI` of --kms or --kms-read, with or without #version, or a version alone")
	f.BoolVar(&o.dryRun, "dry-run", false, "look, and change nothing")
	f.DurationVar(&o.settle, "settle", 15*time.Second, "how long running proxies may go on with an older version before the last pass, which catches what they wrote; 0 where none runs")
	f.BoolVar(&o.json, "json", false, "print JSON, one line a bucket")
	return cmd
}

func rotate(ctx context.Context, c *config.Config, places []place, o rotateOptions, out, errOut io.Writer) (err error) {
	log := newLogger(c, errOut)
	stores, err := openStores(ctx, c, log)
	if err != nil {
		return err
	}
	defer stores.close()
	defer func() { err = errors.Join(err, stores.closeKeyrings(context.WithoutCancel(ctx))) }()
	runs := make([]rotation, len(places))
	for i, at := range places { // before there is a new version for nothing
		if err := stores.reach(ctx, at.bucket); err != nil {
			return fmt.Errorf("%v: %w", at, err)
		}
		runs[i] = rotation{stores: stores, rotateOptions: o, errOut: errOut, log: log}
		if runs[i].from, err = fromKEK(ctx, stores, at.bucket, o.from); err != nil {
			return fmt.Errorf("%v: %w", at, err)
		}
	}
	if o.newVersion {
		if err := newVersions(ctx, c, stores, places, out, o.json); err != nil {
			return err
		}
	}
	began := time.Now()
	var failed []error
	for i, at := range places {
		runs[i].began = began
		found, err := runs[i].place(ctx, at)
		if err != nil {
			failed = append(failed, fmt.Errorf("s3://%s: %w", at.bucket, err))
		}
		if found == nil {
			continue
		}
		if err := found.print(out, o); err != nil { // what was done before it ended, too
			return err
		}
		if n := len(found.Failed); n > 0 {
			failed = append(failed, fmt.Errorf("s3://%s: %d records could not be wrapped anew", at.bucket, n))
		}
		if found.Objects != nil && len(found.Objects.Failed) > 0 {
			failed = append(failed, fmt.Errorf("s3://%s: %d objects could not be renewed", at.bucket, len(found.Objects.Failed)))
		}
	}
	return errors.Join(failed...)
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
	if r.Floor != "" {
		fmt.Fprintf(out, "  the bucket's floor: %s\n", r.Floor)
	}
	printReasons(out, "", r.Failed)
	if r.Objects != nil && err == nil {
		err = r.Objects.print(out, r.KEK, o.dryRun)
	}
	return err
}

func (r *renewed) print(out io.Writer, kek string, dryRun bool) error {
	verb := "renewed under " + kek
	if dryRun {
		verb = "would be renewed under " + kek
	}
	if err := r.rewritten.print(out, "s3://"+r.rewrite.bucket+"/"+r.Prefix, verb); err != nil {
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
			fmt.Fprintf(out, "  %d %s: the window records cover them, unless they were written in window 0 (keys status --objects tells)\n", left.n, left.what)
		}
	}
	return nil
}
