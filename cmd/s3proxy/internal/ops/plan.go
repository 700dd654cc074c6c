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
	// DryRun looks and changes nothing, where a plan changes anything.
	DryRun bool
}

// Plan is the work of a command on one bucket, or on what is below a prefix in it. Its text
// names that, as s3://bucket/prefix.
type Plan[R Report] interface {
	fmt.Stringer
	// Run does it. With an error the report, if there is one, tells what was done until then.
	Run(ctx context.Context) (R, error)
}

// Report is what came of a plan. It is a pointer; nil: there is nothing to tell.
type Report interface {
	comparable
	// Failures are what went wrong although the plan was run to its end.
	Failures() []error
}

// Run runs one plan after the other, whatever becomes of those before, and prints each report
// as soon as it is there. The error joins all that failed, each behind the plan's name.
func Run[R Report](ctx context.Context, plans []Plan[R], print func(R) error) error {
	var failed []error
	for _, plan := range plans {
		report, err := plan.Run(ctx)
		if err != nil {
			failed = append(failed, fmt.Errorf("%v: %w", plan, err))
		}
		var none R
		if report == none {
			continue
		}
		if err := print(report); err != nil {
			return err
		}
		for _, err := range report.Failures() {
			failed = append(failed, fmt.Errorf("%v: %w", plan, err))
		}
	}
	return errors.Join(failed...)
}

// Mistake is an error in what was asked, not in doing it.
type Mistake struct{ Err error }

func (m Mistake) Error() string { return m.Err.Error() }
func (m Mistake) Unwrap() error { return m.Err }

func mistake(format string, args ...any) error { return Mistake{fmt.Errorf(format, args...)} }

// errPassthrough is what a bucket without encryption is left with.
var errPassthrough = errors.New("the bucket is configured without encryption")
