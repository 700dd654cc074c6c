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

// bucketFlags are those of the commands that go through whole buckets.
type bucketFlags struct {
	rate                     ops.Rate
	json, dryRun, onlyWriter bool
}

// add adds what all of them have; there is a line of JSON for each of what.
func (b *bucketFlags) add(f *pflag.FlagSet, what string) {
	f.IntVar(&b.rate.Concurrency, "concurrency", 8, "how many at once")
	f.Float64Var(&b.rate.PerSecond, "rate", 0, "at most so many objects a second; 0: as fast as it goes")
	f.BoolVar(&b.json, "json", false, "print JSON, one line a "+what)
}

// addDryRun is for those that do something, with what they do not do then.
func (b *bucketFlags) addDryRun(f *pflag.FlagSet, nothing string) {
	f.BoolVar(&b.dryRun, "dry-run", false, "look, and "+nothing+" nothing")
}

// onlyWriterFlag is what takes a store that holds no PUT to its If-Match.
const onlyWriterFlag = "i-am-the-only-writer"

// addOnlyWriter is for those that write objects again.
func (b *bucketFlags) addOnlyWriter(f *pflag.FlagSet) {
	f.BoolVar(&b.onlyWriter, onlyWriterFlag, false, "nobody else writes: go on though the store holds no PUT to its If-Match")
}

func (b *bucketFlags) writer() ops.OnlyWriter {
	return ops.OnlyWriter{Claimed: b.onlyWriter, HowToClaim: "--" + onlyWriterFlag}
}

func (b *bucketFlags) check() error {
	if b.rate.Concurrency < 1 || b.rate.PerSecond < 0 {
		return config.Usagef("concurrency is at least 1, and rate cannot be negative")
	}
	return nil
}

// prepare reads what a command is about, checks its flags and loads the configuration.
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

// overBuckets opens what the plans need, makes them, runs them, and prints each report, as
// text writes it or as JSON.
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

// forEach makes the plans where each target has one that needs nothing beforehand.
func forEach[T any, R ops.Report](targets []T, plan func(ops.Job, T) ops.Plan[R]) func(context.Context, ops.Job) ([]ops.Plan[R], error) {
	return func(_ context.Context, job ops.Job) (plans []ops.Plan[R], err error) {
		for _, at := range targets {
			plans = append(plans, plan(job, at))
		}
		return plans, nil
	}
}
