package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/ops"
)

// bucketFlags are the flags of the commands that go through whole buckets.
type bucketFlags struct {
	rate                     ops.Rate
	json, dryRun, onlyWriter bool
}

// add adds the flags that all of them have. what names the things that have a line of JSON
// each.
func (b *bucketFlags) add(f *pflag.FlagSet, what string) {
	f.IntVar(&b.rate.Concurrency, "concurrency", 8, "how many objects or records to work on at once")
	f.Float64Var(&b.rate.PerSecond, "rate", 0, "at most so many objects a second; 0: as fast as possible")
	f.BoolVar(&b.json, "json", false, "print JSON, one line for each "+what)
}

// addDryRun is for the commands that change something; nothing is the verb for what a dry
// run does not do.
func (b *bucketFlags) addDryRun(f *pflag.FlagSet, nothing string) {
	f.BoolVar(&b.dryRun, "dry-run", false, "only look, and "+nothing+" nothing")
}

// onlyWriterFlag makes a command accept a store that does not honour If-Match in a PUT.
const onlyWriterFlag = "i-am-the-only-writer"

// addOnlyWriter is for the commands that write objects again.
func (b *bucketFlags) addOnlyWriter(f *pflag.FlagSet) {
	f.BoolVar(&b.onlyWriter, onlyWriterFlag, false, "nobody else writes: go on even if the store does not honour If-Match in a PUT")
}

func (b *bucketFlags) writer() ops.OnlyWriter {
	return ops.OnlyWriter{Claimed: b.onlyWriter, HowToClaim: "--" + onlyWriterFlag}
}

func (b *bucketFlags) check() error {
	if b.rate.Concurrency < 1 || b.rate.PerSecond < 0 {
		return config.Usagef("concurrency must be at least 1, and rate cannot be negative")
	}
	return nil
}

// prepare parses a command's arguments, checks its flags and loads the configuration.
func prepare[T any](cmd *cobra.Command, args []string, parse func(string) (T, error), check func([]T) error) ([]T, *config.Config, error) {
	targets, err := parseEach(args, parse)
	if err != nil {
		return nil, nil, err
	}
	if err := check(targets); err != nil {
		return nil, nil, err
	}
	c, err := config.Load(cmd.Flags())
	return targets, c, err
}

// overBuckets opens what the plans need, makes the plans, runs them, and prints each report,
// with text or as JSON.
func overBuckets[R ops.Report](cmd *cobra.Command, c *config.Config, flags *bucketFlags, plan func(context.Context, ops.Job) ([]ops.Plan[R], error), text func(io.Writer, R) error) (err error) {
	ctx, out, errOut := cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	log := newLogger(c, errOut)
	stores, err := openStores(ctx, c, log)
	if err != nil {
		return err
	}
	defer stores.close()
	defer func() { err = errors.Join(err, stores.closeKeyrings(context.WithoutCancel(ctx))) }()
	plans, err := plan(ctx, ops.Job{Buckets: stores, Rate: flags.rate, Progress: &walkProgress{out: errOut}, Log: log, DryRun: flags.dryRun})
	if err != nil {
		return err
	}
	return ops.Run(ctx, plans, func(report R) error {
		if flags.json {
			return json.NewEncoder(out).Encode(report)
		}
		return text(out, report)
	})
}

// forEach makes one plan for each target, where plans need nothing beforehand.
func forEach[T any, R ops.Report](targets []T, plan func(ops.Job, T) ops.Plan[R]) func(context.Context, ops.Job) ([]ops.Plan[R], error) {
	return func(_ context.Context, job ops.Job) (plans []ops.Plan[R], err error) {
		for _, at := range targets {
			plans = append(plans, plan(job, at))
		}
		return plans, nil
	}
}
