package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
)

func keysVerifyCommand() *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify s3://bucket[/prefix]...",
		Short: "Read and authenticate all objects, and say which are damaged and where",
		Long: `Reads every object below the prefixes, or a sample of them, and authenticates every
byte, without keeping any. It names each object that is damaged, with the reason: the
first part and segment that does not authenticate, or what in its metadata is wrong.
A whole bucket's window records are opened too. Clients may write meanwhile.

Objects that are not encrypted cannot be authenticated; they count as damaged unless
the bucket has allow-plaintext-reads. Exit code 1 if anything is damaged, or could
not be read.`,
		Example: `  s3proxy keys verify s3://photos
  s3proxy keys verify --sample 0.01 --versions s3://photos/2026/ s3://archive
  s3proxy keys verify --rate 50 --json s3://photos`,
		Args: someArgs("what to read, s3://bucket or s3://bucket/prefix"),
		RunE: func(cmd *cobra.Command, args []string) error {
			places, err := parseEach(args, parsePlace)
			if err != nil {
				return err
			}
			if err := o.pace.check(); err != nil {
				return err
			}
			if o.sample <= 0 || o.sample > 1 {
				return config.Usagef("sample is a part of all objects: more than 0, at most 1")
			}
			c, err := config.Load(cmd.Flags())
			if err != nil {
				return err
			}
			return keysVerify(cmd.Context(), c, places, o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	config.StoreFlags(cmd.Flags())
	f := cmd.Flags()
	config.PlaintextFlag(f)
	o.pace.add(f)
	f.Float64Var(&o.sample, "sample", 1, "read so large a part of the objects, chosen at random: 0.01 is one in a hundred")
	f.BoolVar(&o.versions, "versions", false, "read versions that are not current too")
	f.BoolVar(&o.json, "json", false, "print JSON, one line a place")
	return cmd
}

func keysVerify(ctx context.Context, c *config.Config, places []place, o verifyOptions, out, errOut io.Writer) error {
	stores, err := openStores(ctx, c, newLogger(c, errOut))
	if err != nil {
		return err
	}
	defer stores.close()
	var failed []error
	for _, at := range places {
		found, err := verifyPlace(ctx, stores, at, o, errOut)
		if err != nil {
			failed = append(failed, fmt.Errorf("%v: %w", at, err))
		}
		if found == nil {
			continue
		}
		if err := found.print(out, o); err != nil { // what was read before it ended, too
			return err
		}
		if n := len(found.Bad); n > 0 {
			failed = append(failed, fmt.Errorf("%v: %d are damaged or could not be read", at, n))
		}
	}
	return errors.Join(failed...)
}

func (v *verified) print(out io.Writer, o verifyOptions) error {
	if o.json {
		return json.NewEncoder(out).Encode(v)
	}
	_, err := fmt.Fprintf(out, "s3://%s/%s: %d objects with %d bytes read, %d window records opened, %d objects not encrypted, %d bad\n",
		v.Bucket, v.Prefix, v.Objects, v.Bytes, v.Records, v.Plain, len(v.Bad))
	printReasons(out, "", v.Bad)
	return err
}
