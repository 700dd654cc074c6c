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

func keysRekeyCommand() *cobra.Command {
	var o rekeyOptions
	cmd := &cobra.Command{
		Use:   "rekey s3://bucket...",
		Short: "After the theft of a key: encrypt every object of a bucket anew, and refuse what is from before",
		Long: `Encrypts each object of the buckets again, in place, under a new key of its own in
new windows, on the condition that nobody else has written it. Clients may read and
write meanwhile. Then it closes the bucket's floor: nothing that was encrypted before is
read any more, whoever made it and whatever the store has kept of it.

It is for theft; for age there is "keys rotate", which keeps the window keys that a thief
knows. It needs a key that the thief does not have: a new version (--new-version), or a
new key in --kms, with the old one in --kms-read until the end. All running proxies must
write under it before this begins.

Parts, checksums, MD5, content type, user metadata, tags, ACL, storage class, legal hold,
retention and redirect stay. Opaque ETags and Last-Modified change, and in a versioned
bucket each object gets a new version. What cannot be encrypted again (old versions, locked
and archived objects, uploads in progress) is counted and named, and the floor stays open
while there is any: run it again later, or say --leave-behind, and it becomes unreadable.
A run that was ended goes on with --resume and the floor's id, which it has printed.`,
		Example: `  s3proxy keys rekey --new-version s3://photos --upstream https://s3.example.com --kms vault://transit/photos
  s3proxy keys rekey --resume 5c0f9e1d6a7b48c2930415263748596a s3://photos
  s3proxy keys rekey --dry-run --json s3://photos`,
		Args: someArgs("the buckets, s3://bucket"),
		RunE: func(cmd *cobra.Command, args []string) error {
			buckets, err := parseEach(args, parseBucketURL)
			if err != nil {
				return err
			}
			if err := o.check(len(buckets)); err != nil {
				return err
			}
			c, err := config.Load(cmd.Flags())
			if err != nil {
				return err
			}
			return rekey(cmd.Context(), c, buckets, o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	config.StoreFlags(cmd.Flags())
	f := cmd.Flags()
	config.WindowFlags(f)
	o.pace.add(f)
	f.BoolVar(&o.newVersion, "new-version", false, "make a new version of the key first (local key file, Vault)")
	f.StringVar(&o.resume, "resume", "", "go on with the open floor of this `id`, of one bucket")
	f.BoolVar(&o.discard, "discard-floor", false, "replace an open floor that no run of yours has begun; what was encrypted under it becomes unreadable")
	f.StringArrayVar(&o.stolen, "stolen", nil, "refuse this too, though nothing in the bucket names it (after a rotation): a `VERSION` of the bucket's key, or a URI with #version, as keys status shows it")
	f.BoolVar(&o.keyIsNew, "key-is-new", false, "the key of --kms was made after the theft: begin though objects name it, which proxies have written since")
	f.BoolVar(&o.leaveBehind, "leave-behind", false, "close the floor though something is left that cannot be encrypted again: it becomes unreadable")
	f.BoolVar(&o.onlyWriter, onlyWriterFlag, false, "nobody else writes: go on though the store holds no PUT to its If-Match")
	f.BoolVar(&o.dryRun, "dry-run", false, "look, and change nothing")
	f.DurationVar(&o.settle, "settle", 15*time.Second, "how long running proxies may take to see the new floor; at least 10s, or 0 where none runs")
	f.BoolVar(&o.json, "json", false, "print JSON, one line a bucket")
	return cmd
}

func (o *rekeyOptions) check(buckets int) error {
	switch {
	case o.resume != "" && (buckets > 1 || o.newVersion || o.discard):
		return config.Usagef("resume goes with one bucket, and neither with new-version nor with discard-floor")
	case len(o.stolen) > 0 && (o.resume != "" || o.dryRun):
		return config.Usagef("stolen goes with the begin of a rekey: its floor says what it refuses")
	case o.keyIsNew && o.newVersion:
		return config.Usagef("key-is-new and new-version are two ways to a key that the thief does not have")
	case o.dryRun && (o.newVersion || o.discard || o.leaveBehind || o.resume != ""):
		return config.Usagef("dry-run changes nothing: it goes with none of new-version, resume, discard-floor, leave-behind")
	case o.settle < 0 || o.settle > 0 && o.settle < 10*time.Second:
		return config.Usagef("settle is at least 10s, or 0 where no proxy runs")
	}
	return o.pace.check()
}

func rekey(ctx context.Context, c *config.Config, buckets []string, o rekeyOptions, out, errOut io.Writer) (err error) {
	log := newLogger(c, errOut)
	stores, err := openStores(ctx, c, log)
	if err != nil {
		return err
	}
	defer stores.close()
	defer func() { err = errors.Join(err, stores.closeKeyrings(context.WithoutCancel(ctx))) }()
	runs := make([]*rekeying, len(buckets))
	for i, bucket := range buckets { // before there is a new version for nothing
		if runs[i], err = newRekeying(ctx, stores, bucket, o, out, errOut, log); err != nil {
			return fmt.Errorf("s3://%s: %w", bucket, err)
		}
	}
	if o.newVersion {
		places := make([]place, len(buckets))
		for i, bucket := range buckets {
			places[i] = place{bucket: bucket}
		}
		if err := newVersions(ctx, c, stores, places, out, o.json); err != nil {
			return err
		}
	}
	var failed []error
	for _, r := range runs {
		err := r.run(ctx)
		if err != nil {
			failed = append(failed, fmt.Errorf("s3://%s: %w", r.found.Bucket, err))
		}
		if r.found.Floor == "" && !o.dryRun {
			continue // nothing was done
		}
		if err := r.print(); err != nil {
			return err
		}
		if n := r.found.left(); err == nil && n > 0 && !r.found.Closed {
			failed = append(failed, fmt.Errorf("s3://%s: %d are left under old keys", r.found.Bucket, n))
		}
	}
	return errors.Join(failed...)
}

func (r *rekeying) print() error {
	f := r.found
	if r.json {
		return json.NewEncoder(r.out).Encode(f)
	}
	verb := "encrypted anew"
	if r.dryRun {
		verb = "would be encrypted anew"
	}
	if err := f.rewritten.print(r.out, "s3://"+f.Bucket, verb); err != nil || r.dryRun {
		return err
	}
	if n := f.OldVersions + f.Uploads; n > 0 {
		fmt.Fprintf(r.out, "  %d versions that are not current and %d uploads in progress are under old keys\n", f.OldVersions, f.Uploads)
		for _, name := range f.First {
			fmt.Fprintf(r.out, "  under an old key: %s\n", name)
		}
	}
	printReasons(r.out, "not looked at: ", f.Unseen)
	if !f.Closed {
		fmt.Fprintf(r.out, "  The floor %s stays open: what is from before is still read. Run it again with --resume %s, or with --leave-behind as well.\n", f.Floor, f.Floor)
		return nil
	}
	_, err := fmt.Fprintf(r.out, `  The floor %s is closed: nothing from before is read. %d window records from before were removed. What is left to do:
  1. name it in the configuration of every proxy, or a store that hides it brings the old keys back at a restart:
       buckets: {%s: {floor: [%s]}}
  2. destroy or disable the old key or version in the KMS, and take it out of --kms-read
`, f.Floor, f.Records, f.Bucket, f.Floor)
	return err
}
