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

// rekeyFlags are the flags of keys rekey.
type rekeyFlags struct {
	bucketFlags
	newVersion, discard, leaveBehind, keyIsNew bool
	resume                                     string
	stolen                                     []string
	settle                                     time.Duration
}

func keysRekeyCommand() *cobra.Command {
	var o rekeyFlags
	cmd := &cobra.Command{
		Use:   "rekey s3://bucket...",
		Short: "After the theft of a key, encrypt every object of a bucket again and refuse everything from before",
		Long: `Puts a floor under each bucket: a secret that the key of every object must be committed
to from then on. Then it encrypts each object again, in place, under a new key, on the
condition that nobody else has written it. Clients may read and write meanwhile. At the
end it closes the floor: nothing that was encrypted before can be read any more, whoever
made it and whatever the store has kept of it.

Use it after a theft. For age there is "keys rotate", which keeps the window keys (those
that wrap the keys of an hour's objects), and a thief knows these. It needs a key that the
thief does not have: a new version (--new-version), or a new key in --kms, with the old
one in --kms-read until the end. All running proxies must write under it before this
begins.

Parts, checksums, MD5, content type, user metadata, tags, ACL, storage class, legal hold,
retention and redirect stay. Opaque ETags and Last-Modified change, and in a versioned
bucket each object gets a new version. What cannot be encrypted again (old versions, locked
and archived objects, uploads in progress) is counted and named, and the floor stays open
while there is any: run the command again later, or pass --leave-behind to make them
unreadable. To go on with an interrupted run, pass --resume and the floor's id, which the
run has printed.`,
		Example: `  s3proxy keys rekey --new-version s3://photos --upstream https://s3.example.com --kms vault://transit/photos
  s3proxy keys rekey --resume 5c0f9e1d6a7b48c2930415263748596a s3://photos
  s3proxy keys rekey --dry-run --json s3://photos`,
		Args: someArgs("the buckets, s3://bucket"),
		RunE: func(cmd *cobra.Command, args []string) error {
			buckets, c, err := prepare(cmd, args, parseBucketURL, o.check)
			if err != nil {
				return err
			}
			return overBuckets(cmd, c, &o.bucketFlags, buckets, func(ctx context.Context, job ops.Job, buckets []ops.Target) ([]ops.Plan[*ops.Rekeyed], error) {
				return o.plan(ctx, job, buckets, cmd.OutOrStdout())
			}, func(out io.Writer, r *ops.Rekeyed) error { return printRekeyed(out, r, o.dryRun) })
		},
	}
	config.StoreFlags(cmd.Flags())
	f := cmd.Flags()
	config.WindowFlags(f)
	o.add(f, "bucket")
	o.addOnlyWriter(f)
	o.addDryRun(f, "change")
	f.BoolVar(&o.newVersion, "new-version", false, "make a new version of the key first (local key file, Vault)")
	f.StringVar(&o.resume, "resume", "", "go on with the run that opened the floor of this `id`, in one bucket")
	f.BoolVar(&o.discard, "discard-floor", false, "replace an open floor that no run of yours has opened; what was encrypted under it becomes unreadable")
	f.StringArrayVar(&o.stolen, "stolen", nil, "refuse this too, even if nothing in the bucket names it (after a rotation): a `VERSION` of the bucket's key, or a URI with #version, as keys status shows it")
	f.BoolVar(&o.keyIsNew, "key-is-new", false, "the key of --kms was made after the theft: begin even if objects name it, because proxies have written them since")
	f.BoolVar(&o.leaveBehind, "leave-behind", false, "close the floor even if something is left that cannot be encrypted again: it becomes unreadable")
	f.DurationVar(&o.settle, "settle", 15*time.Second, "how long running proxies may take to see the new floor; at least 10s, or 0 if none is running")
	return cmd
}

func (o *rekeyFlags) check(buckets []ops.Target) error {
	switch {
	case o.resume != "" && (len(buckets) > 1 || o.newVersion || o.discard):
		return config.Usagef("resume takes one bucket, and neither new-version nor discard-floor")
	case len(o.stolen) > 0 && (o.resume != "" || o.dryRun):
		return config.Usagef("stolen is for a rekey that begins: later its floor says what it refuses")
	case o.keyIsNew && o.newVersion:
		return config.Usagef("use either key-is-new or new-version: each gives a key that the thief does not have")
	case o.dryRun && (o.newVersion || o.discard || o.leaveBehind || o.resume != ""):
		return config.Usagef("dry-run changes nothing: it cannot be used with new-version, resume, discard-floor or leave-behind")
	case o.settle < 0 || o.settle > 0 && o.settle < 10*time.Second:
		return config.Usagef("settle must be at least 10s, or 0 if no proxy is running")
	}
	return o.bucketFlags.check()
}

// plan makes the new version, if one is wanted, once nothing prevents the rekey.
func (o *rekeyFlags) plan(ctx context.Context, job ops.Job, targets []ops.Target, out io.Writer) ([]ops.Plan[*ops.Rekeyed], error) {
	var buckets []string
	for _, at := range targets {
		buckets = append(buckets, at.Bucket)
	}
	plans, err := ops.PlanRekeys(ctx, ops.Rekey{
		Job: job, OnlyWriter: o.writer(), NewVersion: o.newVersion, KeyIsNew: o.keyIsNew, Resume: o.resume,
		Discard: o.discard, LeaveBehind: o.leaveBehind, Stolen: o.stolen, Settle: o.settle,
		Opened: func(bucket, floor string) {
			o.resumable = true
			if !o.json {
				fmt.Fprintf(out, "s3://%s: the floor %s is open. If the run is interrupted, go on with --resume %s\n", bucket, floor, floor)
			}
		},
	}, buckets)
	if err != nil || !o.newVersion {
		return plans, err
	}
	return plans, newVersions(ctx, job, plans, out, o.json)
}

func printRekeyed(out io.Writer, f *ops.Rekeyed, dryRun bool) error {
	verb := "encrypted again"
	if dryRun {
		verb = "would be encrypted again"
	}
	if err := printRewritten(out, f.Rewritten, "s3://"+f.Bucket, verb); err != nil || dryRun {
		return err
	}
	if n := f.OldVersions + f.Uploads; n > 0 {
		fmt.Fprintf(out, "  %d versions that are not current and %d uploads in progress are under old keys\n", f.OldVersions, f.Uploads)
		for _, name := range f.First {
			fmt.Fprintf(out, "  under an old key: %v\n", name)
		}
	}
	printReasons(out, "not looked at: ", f.Unreadable)
	if !f.Closed {
		fmt.Fprintf(out, "  The floor %s stays open: what is from before can still be read. Run it again with --resume %s, or with --leave-behind as well.\n", f.Floor, f.Floor)
		return nil
	}
	_, err := fmt.Fprintf(out, `  The floor %s is closed: nothing from before can be read. %d window records from before were removed. What is left to do:
  1. name the floor in the configuration of every proxy, or a store that hides it brings the old keys back at a restart:
       buckets: {%s: {floor: [%s]}}
  2. destroy or disable the old key or version in the KMS, and take it out of --kms-read
`, f.Floor, f.Records, f.Bucket, f.Floor)
	return err
}
