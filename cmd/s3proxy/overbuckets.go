package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/ops"
)

// bucketFlags are the flags of the commands that go through whole buckets.
type bucketFlags struct {
	rate                     ops.Rate
	json, dryRun, onlyWriter bool
	all                      bool
	resumable                bool // from now on an interrupted run goes on with --resume
	progress                 string
}

// add adds the flags that all of them have. what names the things that have a line of JSON
// each.
func (b *bucketFlags) add(f *pflag.FlagSet, what string) {
	f.IntVar(&b.rate.Concurrency, "concurrency", 8, "how many objects, records or uploads to work on at once")
	f.Float64Var(&b.rate.PerSecond, "rate", 0, "at most so many objects a second; 0: as fast as possible")
	f.BoolVar(&b.json, "json", false, "print JSON, one line for each "+what)
	f.StringVar(&b.progress, "progress", "auto", "how to show progress on standard error: auto (a bar on a terminal, elsewhere a line every 10s), plain (lines), json (lines of JSON), none")
}

// allBucketsFlag makes a command go through every bucket.
const allBucketsFlag = "all-buckets"

// addAll is for the commands that touch nothing but what s3proxy has written: others must be told
// which buckets are theirs.
func (b *bucketFlags) addAll(f *pflag.FlagSet) {
	f.BoolVar(&b.all, allBucketsFlag, false, "every bucket that the store lists, and those that are configured with a store of their own; one that fails does not stop the others")
}

// args refuses a command line that names no buckets, or some and all.
func (b *bucketFlags) args(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case b.all && len(args) > 0:
			return config.Usagef("name buckets or pass --%s, not both", allBucketsFlag)
		case b.all:
			return nil
		}
		return someArgs(what+", or --"+allBucketsFlag)(cmd, args)
	}
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
	if !slices.Contains(config.Choices("progress"), b.progress) {
		return config.Usagef("progress: %q is not one of %s", b.progress, strings.Join(config.Choices("progress"), ", "))
	}
	if b.rate.Concurrency < 1 || b.rate.PerSecond < 0 {
		return config.Usagef("concurrency must be at least 1, and rate cannot be negative")
	}
	return nil
}

// prepare parses a command's arguments, checks its flags and loads the configuration.
func prepare(cmd *cobra.Command, args []string, parse func(string) (ops.Target, error), check func([]ops.Target) error) ([]ops.Target, *config.Config, error) {
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

// planner makes the plans of a command.
type planner[R ops.Report] func(context.Context, ops.Job, []ops.Target) ([]ops.Plan[R], error)

// overBuckets opens what the plans need, makes the plans, runs them, and prints each report,
// with text or as JSON.
func overBuckets[R ops.Report](cmd *cobra.Command, c *config.Config, flags *bucketFlags, targets []ops.Target, plan planner[R], text func(io.Writer, R) error) (err error) {
	ctx, out, errOut := cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	defer func() {
		if ctx.Err() != nil {
			err = endedBySignal(err, flags.goOn())
		}
	}()
	log := newLogger(c, errOut)
	stores, err := openStores(ctx, c, log)
	if err != nil {
		return err
	}
	defer stores.close()
	defer func() { err = errors.Join(err, stores.closeKeyrings(context.WithoutCancel(ctx))) }()
	if flags.all {
		if targets, err = stores.allBuckets(ctx); err != nil {
			return err
		}
	}
	var plans []ops.Plan[R]
	if len(targets) > 0 {
		plans, err = plan(ctx, ops.Job{Buckets: stores, Rate: flags.rate, Progress: newProgress(c, flags.progress, errOut), Log: log, DryRun: flags.dryRun, KeepGoing: flags.all}, targets)
	}
	if err != nil {
		return err
	}
	var told tally
	err = ops.Run(ctx, plans, func(outcome ops.Outcome, report R) error {
		var none R
		if report == none {
			told.count(outcome, nil)
			if flags.json {
				return json.NewEncoder(out).Encode(outcome)
			}
			return nil
		}
		told.count(outcome, report.Failures())
		if flags.json {
			return json.NewEncoder(out).Encode(report)
		}
		return text(out, report)
	})
	if flags.all && !flags.json {
		told.print(out, len(plans))
	}
	return err
}

// goOn says what to do after an interruption.
func (b *bucketFlags) goOn() string {
	if b.resumable {
		return "run it again with --resume to go on"
	}
	return "run it again to go on"
}

// endedBySignal gives the error of a run that a signal has ended: the interruption, and what had
// failed before.
func endedBySignal(err error, goOn string) error {
	if err == nil { // it came to its end all the same
		return nil
	}
	var failed []error
	if all, several := err.(interface{ Unwrap() []error }); several {
		for _, one := range all.Unwrap() {
			if !errors.Is(one, context.Canceled) {
				failed = append(failed, one)
			}
		}
	} else if !errors.Is(err, context.Canceled) {
		failed = append(failed, err)
	}
	return errors.Join(append(failed, interrupted{goOn})...)
}

// forEach makes one plan for each target, where plans need nothing beforehand.
func forEach[R ops.Report](plan func(ops.Job, ops.Target) ops.Plan[R]) planner[R] {
	return func(_ context.Context, job ops.Job, targets []ops.Target) (plans []ops.Plan[R], err error) {
		for _, at := range targets {
			plans = append(plans, plan(job, at))
		}
		return plans, nil
	}
}
