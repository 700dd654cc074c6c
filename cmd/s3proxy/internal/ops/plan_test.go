package ops

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

// told is a report with its failures.
type told struct {
	Outcome
	failures []error
}

func (t *told) Failures() []error { return t.failures }

// step is a plan that comes to a known end.
type step struct {
	name   string
	report *told
	err    error
}

func (s step) String() string                     { return s.name }
func (s step) Place() Target                      { return Target{Bucket: strings.TrimPrefix(s.name, "s3://")} }
func (s step) Run(context.Context) (*told, error) { return s.report, s.err }

func TestEveryPlanIsRunAndEveryReportPrintedWhateverFails(t *testing.T) {
	t.Parallel()
	cause := errors.New("the store is gone")
	fine, half, bad := &told{}, &told{}, &told{failures: []error{errors.New("2 are damaged"), errors.New("3 are locked")}}
	plans := []Plan[*told]{
		step{"s3://nothing", nil, cause}, step{"s3://half", half, cause}, step{"s3://bad", bad, nil}, step{"s3://fine", fine, nil},
	}
	var printed []*told
	var outcomes []string
	err := Run(t.Context(), plans, func(o Outcome, r *told) error {
		printed = append(printed, r)
		outcomes = append(outcomes, o.Bucket+" "+o.Error)
		return nil
	})
	if !slices.Equal(printed, []*told{nil, half, bad, fine}) || !slices.Equal(outcomes, []string{"nothing the store is gone", " the store is gone", " ", " "}) {
		t.Errorf("printed %v, %q", printed, outcomes)
	}
	want := "s3://nothing: the store is gone\ns3://half: the store is gone\ns3://bad: 2 are damaged\ns3://bad: 3 are locked"
	if err == nil || err.Error() != want || !errors.Is(err, cause) {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if err := Run(t.Context(), plans[3:], func(Outcome, *told) error { return nil }); err != nil {
		t.Errorf("a run without failures: %v", err)
	}
	if err := Run(t.Context(), plans, func(Outcome, *told) error { return cause }); !errors.Is(err, cause) || strings.Contains(err.Error(), "s3://") {
		t.Errorf("printing failed: %v", err)
	}
}

func TestAMistakeIsToldFromAFailureThroughAllWrappings(t *testing.T) {
	t.Parallel()
	err := Run(t.Context(), []Plan[*told]{step{"s3://b", nil, errors.Join(errors.New("x"), mistake("kek: %s", "7"))}}, func(Outcome, *told) error { return nil })
	var m Mistake
	if !errors.As(err, &m) || m.Error() != "kek: 7" {
		t.Errorf("%v", err)
	}
}

// What a signal ends says so, keeps what it has done, and leaves the rest.
func TestARunThatIsInterruptedLeavesTheOtherPlans(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	first := &told{}
	var seen []Outcome
	err := Run(ctx, []Plan[*told]{ending{step{"s3://a", first, context.Canceled}, cancel}, step{"s3://b", &told{}, nil}}, func(o Outcome, _ *told) error {
		seen = append(seen, o)
		return nil
	})
	if len(seen) != 1 || !seen[0].Interrupted || seen[0].Error != "" || !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "s3://") {
		t.Errorf("%+v, %v", seen, err)
	}
}

// ending is a step during which a signal comes.
type ending struct {
	step
	signal func()
}

func (e ending) Run(ctx context.Context) (*told, error) {
	e.signal()
	return e.step.Run(ctx)
}

// Among buckets that nobody has named, one for which there is no plan stops no other.
func TestWithKeepGoingAPlanThatCannotBeMadeFailsAlone(t *testing.T) {
	t.Parallel()
	targets := []Target{{Bucket: "a"}, {Bucket: "b"}}
	plan := func(at Target) (Plan[*told], error) {
		if at.Bucket == "a" {
			return nil, mistake("no such key")
		}
		return step{"s3://b", &told{}, nil}, nil
	}
	if _, err := planEach(Job{}, targets, plan); err == nil || !strings.Contains(err.Error(), "s3://a/: no such key") {
		t.Errorf("buckets by name: %v", err)
	}
	plans, err := planEach(Job{KeepGoing: true}, targets, plan)
	if err != nil || len(plans) != 2 {
		t.Fatalf("%v, %v", plans, err)
	}
	done := 0
	err = Run(t.Context(), plans, func(o Outcome, r *told) error {
		if r != nil {
			done++
		}
		return nil
	})
	var m Mistake
	if done != 1 || err == nil || !strings.Contains(err.Error(), "s3://a/: no such key") || errors.As(err, &m) {
		t.Errorf("%d done: %v", done, err)
	}
	if _, err := planEach(Job{KeepGoing: true}, targets[:1], plan); !errors.As(err, &m) {
		t.Errorf("where there is no plan at all: %v", err)
	}
}

func TestNamesInAReportAreQuotedOnceAndSorted(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal(Reasons{{Key: `b"`}: "x", {Record: "00"}: "y", {Key: "a", Version: "1"}: "z", {State: ".s3proxy/uploads/ff/"}: "u"})
	if want := `[{"key":"a","version-id":"1","error":"z"},{"key":"b\"","error":"x"},{"state":".s3proxy/uploads/ff/","error":"u"},{"record":"00","error":"y"}]`; err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
	if got, err := json.Marshal(Reasons(nil)); err != nil || string(got) != "[]" {
		t.Errorf("nothing is %s, %v", got, err)
	}
}
