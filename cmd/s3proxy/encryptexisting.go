package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/ops"
)

func encryptExistingCommand() *cobra.Command {
	var o bucketFlags
	var ciphertext, old, withoutMD5 bool
	cmd := &cobra.Command{
		Use:   "encrypt-existing s3://bucket[/prefix]...",
		Short: "Encrypt, in place, the objects of a bucket that are not encrypted",
		Long: `Reads each object below the prefixes that is not encrypted, and writes it again under
its own name, encrypted, on the condition that nobody else has written it. Clients may
read and write meanwhile through s3proxy, which needs allow-plaintext-reads for the
bucket until this command says that you can switch it off. If a client writes at the same
time, its write wins. If a run is interrupted, run it again.

Content type, user metadata, tags, ACL, storage class, legal hold, retention and redirect
stay. So does the store's checksum of the whole object, if it has one; it is verified
first. With --etag md5 the ETag stays where it is the MD5 of the bytes; otherwise ETag and
Last-Modified change. In a versioned bucket the old state remains as a version that is not
encrypted, until a lifecycle rule or somebody removes it: the command counts these. It
makes no copy of an object under any other name.

What another tool has encrypted (the older s3proxy, gaul's S3Proxy, rclone crypt, the Amazon
S3 Encryption Client, SSE-C) is left as it is, and counts as a failure that names the tool:
encrypted once more, nobody would know that it has two layers.

With --legacy, objects of the older s3proxy are read with the bucket's legacy-key-file and
become objects of s3proxy. One whose content does not have the MD5 that was kept with it is
left as it is, and counts as a failure; so is one that was kept without an MD5, unless
--legacy-without-md5 is given.`,
		Example: `  s3proxy encrypt-existing --dry-run s3://photos
  s3proxy encrypt-existing --rate 100 s3://photos --upstream https://s3.example.com --kms vault://transit/photos`,
		Args: someArgs("what to encrypt, s3://bucket or s3://bucket/prefix"),
		RunE: func(cmd *cobra.Command, args []string) error {
			targets, c, err := prepare(cmd, args, parseTarget, func([]ops.Target) error { return o.check() })
			if err != nil {
				return err
			}
			if withoutMD5 && !old {
				return config.Usagef("--legacy-without-md5 goes with --legacy")
			}
			return overBuckets(cmd, c, &o, targets, forEach(func(job ops.Job, at ops.Target) ops.Plan[*ops.EncryptedExisting] {
				return &ops.EncryptExisting{Job: job, Target: at, OnlyWriter: o.writer(), Ciphertext: ciphertext, Legacy: old, WithoutMD5: withoutMD5}
			}), func(out io.Writer, e *ops.EncryptedExisting) error { return printEncrypted(out, e, o.dryRun) })
		},
	}
	config.StoreFlags(cmd.Flags())
	f := cmd.Flags()
	config.PlaintextFlag(f)
	config.WindowFlags(f)
	o.add(f, "place")
	o.addOnlyWriter(f)
	o.addDryRun(f, "change")
	f.BoolVar(&old, "legacy", false, "encrypt also the objects of the older s3proxy, which the bucket's legacy-key-file opens")
	f.BoolVar(&withoutMD5, "legacy-without-md5", false, "with --legacy, also those whose content nothing checks: their header has no MD5, or somebody has removed it")
	f.BoolVar(&ciphertext, "also-ciphertext", false, "encrypt also what another tool has encrypted: its users go on to read it with that tool, through s3proxy")
	return cmd
}

func printEncrypted(out io.Writer, e *ops.EncryptedExisting, dryRun bool) error {
	verb := "encrypted"
	if dryRun {
		verb = "would be encrypted"
	}
	if err := printRewritten(out, e.Rewritten, "s3://"+e.Bucket+"/"+e.Prefix, verb); err != nil {
		return err
	}
	if e.OldVersions > 0 {
		fmt.Fprintf(out, "  %d versions that are not current are not encrypted: the store's operator can read them until they are deleted\n", e.OldVersions)
	}
	if e.OldLegacy > 0 {
		fmt.Fprintf(out, "  %d versions that are not current are of the older s3proxy: nothing authenticates them\n", e.OldLegacy)
	}
	printReasons(out, "not looked at: ", e.Unreadable)
	switch {
	case dryRun:
	case e.Done && e.LegacyKey:
		fmt.Fprintln(out, "  All current objects are of s3proxy: you can remove the bucket's legacy-key-file if all writers go through s3proxy and nobody needs the old versions through it.")
	case e.Done && e.OldVersions == 0 && len(e.Unreadable) == 0:
		fmt.Fprintln(out, "  All objects are encrypted: you can switch off allow-plaintext-reads if all writers go through s3proxy.")
	case e.Done:
		fmt.Fprintln(out, "  All current objects are encrypted: you can switch off allow-plaintext-reads if all writers go through s3proxy and nobody needs the old versions through it.")
	case e.Prefix != "":
		fmt.Fprintln(out, "  This was only what is below the prefix: a run over the whole bucket says when you can switch off allow-plaintext-reads.")
	default:
		fmt.Fprintln(out, "  allow-plaintext-reads must stay on.")
	}
	return nil
}
