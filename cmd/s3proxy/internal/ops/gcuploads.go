package ops

import (
	"context"
	"fmt"
	"time"

	"github.com/s3proxy/s3proxy/proxy/multipart"
)

// SweepUploads removes the state of a bucket's multipart uploads which the store no longer has.
// It does not need a key.
type SweepUploads struct {
	Job
	Bucket string
	Grace  time.Duration // how long an upload must have been gone
}

func (s *SweepUploads) String() string { return "s3://" + s.Bucket }

// Place implements Plan.
func (s *SweepUploads) Place() Target { return Target{Bucket: s.Bucket} }

// SweptUploads is its report. The JSON names are part of the interface.
type SweptUploads struct {
	Outcome
	multipart.Swept
	Failed Reasons `json:"failed"`

	whole bool // the sweep came to its end
}

// Failures implements Report.
func (s *SweptUploads) Failures() []error {
	if n := len(s.Failed); s.whole && n > 0 {
		return []error{fmt.Errorf("%d uploads could not be looked at or removed", n)}
	}
	return nil
}

// Run implements Plan.
func (s *SweepUploads) Run(ctx context.Context) (*SweptUploads, error) {
	if err := reach(ctx, s.Buckets, s.Bucket); err != nil {
		return nil, err
	}
	records, _, err := s.Buckets.Records(ctx, s.Bucket)
	if err != nil {
		return nil, err
	}
	s.Progress.Start(Walk{Target: s.Place(), Unit: "uploads"})
	defer s.Progress.Finish()
	found := &SweptUploads{Outcome: s.outcome(s.Place()), Failed: Reasons{}}
	sweeper := multipart.Sweeper{
		Store: records.Store, Place: records.Place, Grace: s.Grace, DryRun: s.DryRun, SideBySide: s.Rate.Concurrency, Log: s.Log,
		Looked: func(folder string, err error) error {
			if err != nil && len(found.Failed) >= maxFailed {
				return fmt.Errorf("%w: %w", errTooMany, err)
			}
			if err != nil {
				found.Failed[Item{State: folder}] = err.Error()
			}
			s.Progress.Add(Step{Failed: err != nil})
			return nil
		},
	}
	found.Swept, err = sweeper.Bucket(ctx, s.Bucket)
	found.whole = err == nil
	return found, err
}
