package ops

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
)

// Job is what all plans of a command have in common.
type Job struct {
	Buckets  Buckets
	Rate     Rate
	Progress Progress
	Log      *slog.Logger
	// DryRun makes a plan look and change nothing.
	DryRun bool
	// KeepGoing is for buckets that nobody has named: a plan that cannot be made fails as one
	// that cannot be run does, and stops no other.
	KeepGoing bool
}

// Plan is the work of a command on one bucket, or on what is below a prefix in it. Its String
// names that, as s3://bucket/prefix.
type Plan[R Report] interface {
	fmt.Stringer
	Place() Target
	// Run does the work. With an error the report, if there is one, says what was done until
	// then.
	Run(ctx context.Context) (R, error)
}

// Report is the result of a plan. It is a pointer; nil if there is nothing to report.
type Report interface {
	comparable
	// Failures gives what went wrong although the plan was run to its end.
	Failures() []error
	outcome() *Outcome
}

// Outcome is what all reports begin with. The JSON names are part of the interface.
type Outcome struct {
	Bucket string `json:"bucket"`
	Prefix string `json:"prefix,omitempty"`
	// Error says why the plan did not come to its end, Interrupted that somebody ended it.
	Error       string `json:"error,omitempty"`
	Interrupted bool   `json:"interrupted,omitempty"`
	DryRun      bool   `json:"dry-run,omitempty"` // what is counted as done would be
}

// outcome begins a report.
func (j *Job) outcome(at Target) Outcome {
	return Outcome{Bucket: at.Bucket, Prefix: at.Prefix, DryRun: j.DryRun}
}

func (o *Outcome) outcome() *Outcome { return o }

// Place is the outcome's target.
func (o *Outcome) Place() Target { return Target{o.Bucket, o.Prefix} }

func (o *Outcome) ended(ctx context.Context, err error) {
	switch {
	case err == nil:
	case ctx.Err() != nil:
		o.Interrupted = true
	default:
		o.Error = err.Error()
	}
}

// Run runs one plan after the other, even if earlier ones fail, and prints each outcome as soon as
// there is one; the report is nil where there is none. The error joins all failures, each after
// the plan's name. When ctx ends, the plans that have not begun are left, and the error is
// ctx's too.
func Run[R Report](ctx context.Context, plans []Plan[R], print func(Outcome, R) error) error {
	var failed []error
	for _, plan := range plans {
		if ctx.Err() != nil {
			break
		}
		report, err := plan.Run(ctx)
		if err != nil && ctx.Err() == nil {
			failed = append(failed, fmt.Errorf("%v: %w", plan, err))
		}
		var none R
		at := plan.Place()
		outcome := &Outcome{Bucket: at.Bucket, Prefix: at.Prefix}
		if report != none {
			outcome = report.outcome()
		}
		outcome.ended(ctx, err)
		if err := print(*outcome, report); err != nil {
			return err
		}
		if report == none {
			continue
		}
		for _, err := range report.Failures() {
			failed = append(failed, fmt.Errorf("%v: %w", plan, err))
		}
	}
	return errors.Join(append(failed, ctx.Err())...)
}

// refused is a plan that cannot be carried out, and fails with the reason.
type refused[R Report] struct {
	Target
	err error
}

// Run implements Plan. What was a mistake for one bucket is a failure of the whole.
func (r refused[R]) Run(context.Context) (none R, err error) { return none, errors.New(r.err.Error()) }

// planEach makes a plan for each target. With KeepGoing a target for which there is none gets one
// that fails, unless there is no plan for any.
func planEach[R Report](job Job, targets []Target, plan func(Target) (Plan[R], error)) (plans []Plan[R], err error) {
	var failed []error
	for _, at := range targets {
		made, err := plan(at)
		if err != nil {
			failed = append(failed, fmt.Errorf("%v: %w", at, err))
			made = refused[R]{at, err}
		}
		if err != nil && !job.KeepGoing {
			return nil, failed[0]
		}
		plans = append(plans, made)
	}
	if len(failed) == len(targets) {
		return nil, errors.Join(failed...)
	}
	return plans, nil
}

// errPassthrough refuses a bucket without encryption.
var errPassthrough = errors.New("the bucket is configured without encryption")
