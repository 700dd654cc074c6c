package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/ops"
)

func decryptExistingCommand() *cobra.Command {
	var o bucketFlags
	cmd := &cobra.Command{
		Use:   "decrypt-existing s3://bucket[/prefix]...",
		Short: "Leave plaintext, in place, of the objects of a bucket: the way out",
		Long: `Reads each encrypted object below the prefixes, authenticates all of it, and writes its
plaintext under its own name, on the condition that nobody else has written it: from then
on the store's operator can read it, and any S3 client without s3proxy. Clients may read
and write meanwhile through s3proxy, which needs allow-plaintext-reads for the bucket:
without that setting (or encrypt: false) the command does not begin. If a client writes at
the same time, its write wins. If a run is interrupted, run it again.

Content type, user metadata, tags, ACL, storage class, legal hold, retention and redirect
stay. So does the checksum that the client gave (CRC32, CRC32C, CRC64NVME, SHA1, SHA256).
An object of one PUT is written by one PUT, and one of parts in the same parts: the ETag is
the one that S3 has without encryption, as --etag md5 shows it. What does not authenticate
is named, and left as it is. In a versioned bucket the old state remains as an encrypted
version, which the command counts.

docs/KEYS.md has the steps, up to the day when s3proxy is not needed any more.`,
		Example: `  s3proxy decrypt-existing --dry-run s3://photos
  s3proxy decrypt-existing --allow-plaintext-reads s3://photos --upstream https://s3.example.com --kms vault://transit/photos`,
		Args: someArgs("what to decrypt, s3://bucket or s3://bucket/prefix"),
		RunE: func(cmd *cobra.Command, args []string) error {
			targets, c, err := prepare(cmd, args, parseTarget, func([]ops.Target) error { return o.check() })
			if err != nil {
				return err
			}
			return overBuckets(cmd, c, &o, targets, func(ctx context.Context, job ops.Job, targets []ops.Target) ([]ops.Plan[*ops.DecryptedExisting], error) {
				return ops.PlanDecryption(ctx, ops.DecryptExisting{Job: job, OnlyWriter: o.writer()}, targets)
			}, printDecrypted)
		},
	}
	config.StoreFlags(cmd.Flags())
	f := cmd.Flags()
	config.PlaintextFlag(f)
	o.add(f, "place")
	o.addOnlyWriter(f)
	o.addDryRun(f, "change")
	return cmd
}

func printDecrypted(out io.Writer, d *ops.DecryptedExisting) error {
	verb := "decrypted"
	if d.DryRun {
		verb = "would be decrypted"
	}
	if err := printRewritten(out, d.Rewritten, "s3://"+d.Bucket+"/"+d.Prefix, verb); err != nil {
		return err
	}
	if d.OldVersions > 0 {
		fmt.Fprintf(out, "  %d versions that are not current are encrypted: they need s3proxy, its key and .s3proxy/ until they are deleted\n", d.OldVersions)
	}
	if d.Uploads > 0 {
		fmt.Fprintf(out, "  %d uploads are in progress, whose objects will be encrypted: let them end, and run this again (s3proxy gc removes what is left of uploads that are gone)\n", d.Uploads)
	}
	printReasons(out, "not looked at: ", d.Unreadable)
	switch {
	case d.DryRun:
	case d.Done && d.Passthrough && d.OldVersions == 0 && len(d.Unreadable) == 0:
		fmt.Fprintln(out, "  All objects are plaintext, and so is what proxies with these settings write: the bucket does not need s3proxy any more.")
	case d.Done && d.Passthrough:
		fmt.Fprintln(out, "  All current objects are plaintext, and so is what proxies with these settings write.")
	case d.Done:
		fmt.Fprintln(out, "  All current objects are plaintext. What clients write through s3proxy is encrypted until the bucket has encrypt: false: set that, restart serve, and run this again.")
	case d.Prefix != "":
		fmt.Fprintln(out, "  This was only what is below the prefix: a run over the whole bucket says when encrypt: false can be set.")
	default:
		fmt.Fprintln(out, "  The bucket still needs s3proxy: encrypt must stay on.")
	}
	return nil
}
