package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/ops"
)

func keysVerifyCommand() *cobra.Command {
	var o bucketFlags
	var versions bool
	var sample float64
	cmd := &cobra.Command{
		Use:   "verify s3://bucket[/prefix]...|--all-buckets",
		Short: "Read and authenticate all objects, and say which are damaged and where",
		Long: `Reads every object below the prefixes, or a sample of them, and authenticates every
byte, without keeping any. It names each damaged object, with the reason: the first part
and segment (64 KiB of plaintext) that does not authenticate, or what is wrong in its
metadata. For a whole bucket it also opens the window records (copies of wrapped keys).
Clients may write meanwhile.

Objects that are not encrypted cannot be authenticated; they count as damaged unless
the bucket has allow-plaintext-reads. Those of the older s3proxy are not authenticated
either: where the bucket has their legacy-key-file, the MD5 in their header is compared, and
they are counted. The exit code is 1 if anything is damaged, or
could not be read.`,
		Example: `  s3proxy keys verify s3://photos
  s3proxy keys verify --sample 0.01 --versions s3://photos/2026/ s3://archive
  s3proxy keys verify --all-buckets --sample 0.01
  s3proxy keys verify --rate 50 --json s3://photos`,
		Args: o.args("what to read, s3://bucket or s3://bucket/prefix"),
		RunE: func(cmd *cobra.Command, args []string) error {
			targets, c, err := prepare(cmd, args, parseTarget, func([]ops.Target) error {
				if sample <= 0 || sample > 1 {
					return config.Usagef("sample is a share of the objects: it must be more than 0 and at most 1")
				}
				return o.check()
			})
			if err != nil {
				return err
			}
			return overBuckets(cmd, c, &o, targets, forEach(func(job ops.Job, at ops.Target) ops.Plan[*ops.Verified] {
				return &ops.Verify{Job: job, Target: at, Versions: versions, Sample: sample}
			}), printVerified)
		},
	}
	config.StoreFlags(cmd.Flags())
	f := cmd.Flags()
	config.PlaintextFlag(f)
	o.add(f, "place")
	o.addAll(f)
	f.Float64Var(&sample, "sample", 1, "the share of the objects to read, chosen at random: 0.01 is one in a hundred")
	f.BoolVar(&versions, "versions", false, "also read versions that are not current")
	return cmd
}

func printVerified(out io.Writer, v *ops.Verified) error {
	_, err := fmt.Fprintf(out, "s3://%s/%s: %d objects with %d bytes read, %d window records opened, %d objects not encrypted, %d bad\n",
		v.Bucket, v.Prefix, v.Objects, v.Bytes, v.Records, v.Plain, len(v.Bad))
	if v.Legacy > 0 {
		fmt.Fprintf(out, "  %d of the objects are of the older s3proxy: their MD5 was compared, nothing authenticates them\n", v.Legacy)
	}
	printReasons(out, "", v.Bad)
	return err
}
