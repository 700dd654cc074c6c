package ops

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/multipart"
	"github.com/s3proxy/s3proxy/proxy/state"
)

// DefaultRecordsGrace is how old a window record must be before it may be removed: it is made
// before its window's first object, which may take long to write.
const DefaultRecordsGrace = 49 * time.Hour

// SweepRecords removes the window records of a bucket that nothing in it names. If there is
// anything that it could not look at, it removes none. It does not need a key.
type SweepRecords struct {
	Job
	Bucket string
	Grace  time.Duration // how old such a record must be
}

func (s *SweepRecords) String() string { return "s3://" + s.Bucket }

// Place implements Plan.
func (s *SweepRecords) Place() Target { return Target{Bucket: s.Bucket} }

// SweptRecords is its report. The JSON names are part of the interface.
type SweptRecords struct {
	Outcome
	Records    int     `json:"records"`
	Named      int     `json:"named"`   // by an object, a version or an upload
	Young      int     `json:"young"`   // not named, and too young to remove
	Removed    int     `json:"removed"` // or would be, in a dry run
	Locked     int     `json:"locked"`  // under a retention that has not ended
	Foreign    int     `json:"foreign"` // not named as s3proxy does: left alone
	Failed     Reasons `json:"failed"`
	Unreadable Reasons `json:"unseen"` // what could not be looked at, and why
}

// Run implements Plan.
func (s *SweepRecords) Run(ctx context.Context) (*SweptRecords, error) {
	if err := reach(ctx, s.Buckets, s.Bucket); err != nil {
		return nil, err
	}
	records, origin, err := s.Buckets.Records(ctx, s.Bucket)
	if err != nil {
		return nil, err
	}
	found := &SweptRecords{Outcome: s.outcome(s.Place()), Failed: Reasons{}}
	// List the records first: whatever names one of them already exists, or gets its key from
	// a window that is in use meanwhile, and then the record is young.
	before := time.Now().Add(-s.Grace)
	unnamed := map[string]time.Time{}
	err = records.List(ctx, origin, func(l state.ListedRecord) error {
		if l.Foreign {
			found.Foreign++
		} else {
			unnamed[l.ID] = l.Modified
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	found.Records = len(unnamed)
	var mu sync.Mutex
	name := func(m *envelope.Metadata) {
		if m == nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		delete(unnamed, hex.EncodeToString(m.WindowID()))
	}
	all := inventory{
		walker: walkerOf(records), bucket: s.Bucket, rate: s.Rate, progress: s.Progress,
		upload: func(u multipart.InProgress) error {
			name(u.Meta)
			// Its object will name a window that was in use then.
			if since := u.Since.Add(-s.Grace); since.Before(before) {
				before = since
			}
			return nil
		},
		object: func(_ context.Context, _ Item, m *envelope.Metadata, _ bool) error { name(m); return nil },
	}
	if found.Unreadable, err = all.take(ctx); err != nil {
		return nil, err
	}
	found.Named = found.Records - len(unnamed)
	for _, id := range slices.Sorted(maps.Keys(unnamed)) {
		switch modified := unnamed[id]; {
		case modified.IsZero() || modified.After(before):
			found.Young++
		case len(found.Unreadable) > 0:
		case s.DryRun:
			found.Removed++
		default:
			err := records.Remove(ctx, origin, id)
			switch {
			case ctx.Err() != nil:
				return found, ctx.Err()
			case err == nil:
				found.Removed++
				s.Log.Info("a window record that nothing names was removed", "bucket", s.Bucket, "record", id)
			case errors.Is(err, state.ErrLocked):
				found.Locked++
			default:
				found.Failed[Item{Record: id}] = err.Error()
			}
		}
	}
	return found, nil
}

// Failures implements Report.
func (r *SweptRecords) Failures() []error {
	switch {
	case len(r.Unreadable) > 0:
		return []error{fmt.Errorf("%d objects could not be looked at: no window record was removed", len(r.Unreadable))}
	case len(r.Failed) > 0:
		return []error{fmt.Errorf("%d window records could not be removed", len(r.Failed))}
	}
	return nil
}
