package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/ops"
)

func keysStatusCommand() *cobra.Command {
	var o bucketFlags
	var objects bool
	var keks []string
	cmd := &cobra.Command{
		Use:   "status s3://bucket...|--all-buckets",
		Short: "Count what each version of the key is needed for, and say which are safe to destroy",
		Long: `Counts the window records of the buckets by the version of the key that wraps them. A
window record is a copy of a window key: the key that wraps the keys of an hour's
objects.

With --objects it also looks at every object, every version of it and every upload in
progress, and says of each version of the key whether it is safe to destroy as far as
the bucket is concerned. It is if it wraps no record, and each object that names it has a
window record that another version wraps and that opens now. Without --objects the
answer is never yes: objects of window 0 (whose keys the KMS wraps itself) have no
record, and records may be missing.

--kek asks for certain versions; the exit code is then 0 if all of them are safe to
destroy, in all the buckets, 3 if the answer is no, and 1 if it could not be found out. A key that serves other buckets too is still needed for
what is in them. Do not restore objects from copies of the store that are older than a
destroyed version, unless you restore their records too.`,
		Example: `  s3proxy keys status s3://photos
  s3proxy keys status --objects --kek 3 s3://photos s3://archive
  s3proxy keys status --objects --kek vault://transit/photos#3 --all-buckets
  s3proxy keys status --objects --json s3://photos --kms vault://transit/photos`,
		Args: o.args("the buckets, s3://bucket"),
		RunE: func(cmd *cobra.Command, args []string) error {
			buckets, c, err := prepare(cmd, args, parseBucketURL, func([]ops.Target) error { return o.check() })
			if err != nil {
				return err
			}
			return overBuckets(cmd, c, &o, buckets, forEach(func(job ops.Job, at ops.Target) ops.Plan[*ops.KeyStatus] {
				return &ops.Status{Job: job, Bucket: at.Bucket, Objects: objects, KEKs: keks}
			}), printStatus)
		},
	}
	config.StoreFlags(cmd.Flags())
	f := cmd.Flags()
	o.add(f, "bucket")
	o.addAll(f)
	f.BoolVar(&objects, "objects", false, "look at all objects, versions and uploads too")
	f.StringSliceVar(&keks, "kek", nil, "ask whether this is safe to destroy: a `VERSION` of the bucket's key, or a URI with #version, as --kms takes it or as keys status shows it")
	return cmd
}

func printStatus(out io.Writer, c *ops.KeyStatus) error {
	fmt.Fprintf(out, "s3://%s: %d window records; new objects are encrypted under %s\n", c.Bucket, c.Records, c.Current)
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	if c.Objects {
		fmt.Fprintln(w, "KEY\tRECORDS\tOBJECTS\tCOVERED\tSAFE TO DESTROY?")
	} else {
		fmt.Fprintln(w, "KEY\tRECORDS\tSAFE TO DESTROY?")
	}
	for _, use := range c.Keys {
		counts := fmt.Sprintf("%s\t%d", use.KEK, use.Records)
		if c.Objects {
			counts += fmt.Sprintf("\t%d\t%d", use.Objects, use.Covered)
		}
		answer := "no: " + use.Why
		switch {
		case use.MayDestroy && use.Objects == 0:
			answer = "yes: nothing here names it" // the name may also be misspelt
		case use.MayDestroy:
			answer = "yes"
		case strings.HasPrefix(use.Why, "not known"):
			answer = use.Why
		}
		fmt.Fprintf(w, "%s\t%s\n", counts, answer)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, use := range c.Keys {
		for _, name := range use.First {
			fmt.Fprintf(out, "  needs %s: %v\n", use.KEK, name)
		}
	}
	if c.Legacy > 0 {
		fmt.Fprintf(out, "  %d objects are of the older s3proxy: nothing authenticates them, and none of these keys is needed for them\n", c.Legacy)
	}
	if c.Plain > 0 {
		fmt.Fprintf(out, "  %d objects are not encrypted\n", c.Plain)
	}
	printReasons(out, "not looked at: ", c.Unreadable)
	return nil
}
