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
}

// Plan is the work of a command on one bucket, or on what is below a prefix in it. Its String
// names that, as s3://bucket/prefix.
type Plan[R Report] interface {
	fmt.Stringer
	// Run does the work. With an error the report, if there is one, says what was done until
	// then.
	Run(ctx context.Context) (R, error)
}

// Report is the result of a plan. It is a pointer; nil if there is nothing to report.
type Report interface {
	comparable
	// Failures gives what went wrong although the plan was run to its end.
	Failures() []error
}

// Run runs one plan after the other, even if earlier ones fail, and prints each report as soon as
// there is one. The error joins all failures, each after the plan's name.
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

// Mistake is an error in what was asked, as opposed to a failure in doing it.
type Mistake struct{ Err error }

func (m Mistake) Error() string { return m.Err.Error() }
func (m Mistake) Unwrap() error { return m.Err }

func mistake(format string, args ...any) error { return Mistake{fmt.Errorf(format, args...)} }

// errPassthrough refuses a bucket without encryption.
var errPassthrough = errors.New("the bucket is configured without encryption")
