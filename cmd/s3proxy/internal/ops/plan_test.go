package ops

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
)

// told is a report with its failures.
type told struct{ failures []error }

func (t *told) Failures() []error { return t.failures }

// step is a plan that comes to a known end.
type step struct {
	name   string
	report *told
	err    error
}

func (s step) String() string                     { return s.name }
func (s step) Run(context.Context) (*told, error) { return s.report, s.err }

func TestEveryPlanIsRunAndEveryReportPrintedWhateverFails(t *testing.T) {
	t.Parallel()
	cause := errors.New("the store is gone")
	fine, half, bad := &told{}, &told{}, &told{[]error{errors.New("2 are damaged"), errors.New("3 are locked")}}
	plans := []Plan[*told]{
		step{"s3://nothing", nil, cause}, step{"s3://half", half, cause}, step{"s3://bad", bad, nil}, step{"s3://fine", fine, nil},
	}
	var printed []*told
	err := Run(t.Context(), plans, func(r *told) error { printed = append(printed, r); return nil })
	if !slices.Equal(printed, []*told{half, bad, fine}) {
		t.Errorf("printed %v", printed)
	}
	want := "s3://nothing: the store is gone\ns3://half: the store is gone\ns3://bad: 2 are damaged\ns3://bad: 3 are locked"
	if err == nil || err.Error() != want || !errors.Is(err, cause) {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if err := Run(t.Context(), plans[3:], func(*told) error { return nil }); err != nil {
		t.Errorf("a run without failures: %v", err)
	}
	if err := Run(t.Context(), plans, func(*told) error { return cause }); !errors.Is(err, cause) || strings.Contains(err.Error(), "s3://") {
		t.Errorf("printing failed: %v", err)
	}
}

func TestAMistakeIsToldFromAFailureThroughAllWrappings(t *testing.T) {
	t.Parallel()
	err := Run(t.Context(), []Plan[*told]{step{"s3://b", nil, errors.Join(errors.New("x"), mistake("kek: %s", "7"))}}, func(*told) error { return nil })
	var m Mistake
	if !errors.As(err, &m) || m.Error() != "kek: 7" {
		t.Errorf("%v", err)
	}
}
