package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy"
	"github.com/s3proxy/s3proxy/proxy/state"
)

// recordsGrace is how old a window record is before it may be removed: it is made before
// its window's first object, which may take long to be written.
const recordsGrace = 49 * time.Hour

// removedRecords is what gc --records tells of a bucket; the JSON names are part of the
// interface.
type removedRecords struct {
	Bucket  string            `json:"bucket"`
	Records int               `json:"records"`
	Named   int               `json:"named"`   // by an object, a version or an upload
	Young   int               `json:"young"`   // not named, and too young to remove
	Removed int               `json:"removed"` // or would be, in a dry run
	Locked  int               `json:"locked"`  // under a retention that has not ended
	Foreign int               `json:"foreign"` // not named as s3proxy does: left alone
	Failed  map[string]string `json:"failed"`  // reason by record id
	Unseen  map[string]string `json:"unseen"`  // what could not be looked at, and why
}

// gcRecords removes the window records of a bucket that nothing in it names. If it could
// not look at everything, it removes none.
func gcRecords(ctx context.Context, s *stores, bucket string, o gcOptions, errOut io.Writer, log *slog.Logger) (*removedRecords, error) {
	records, err := s.records(ctx, bucket, s.c.Buckets[bucket])
	if err != nil {
		return nil, err
	}
	origin := cmp.Or(s.c.Buckets[bucket].Alias, bucket)
	found := &removedRecords{Bucket: bucket, Failed: map[string]string{}}
	// First: what names one of these records is there already, or is named by a key that
	// a process took from the window meanwhile, and then the record is young.
	before := time.Now().Add(-o.recordsGrace)
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
	all := census{
		walker: proxy.Walker{Store: records.Store, Place: s.c.State}, bucket: bucket, pace: o.pace, errOut: errOut,
		upload: func(u proxy.InProgress) error {
			name(u.Meta)
			// Its object names a window that was in use then.
			if since := u.Since.Add(-o.recordsGrace); since.Before(before) {
				before = since
			}
			return nil
		},
		object: func(_ context.Context, _ string, m *envelope.Metadata) error { name(m); return nil },
	}
	if found.Unseen, err = all.run(ctx); err != nil {
		return nil, err
	}
	found.Named = found.Records - len(unnamed)
	for _, id := range slices.Sorted(maps.Keys(unnamed)) {
		switch modified := unnamed[id]; {
		case modified.IsZero() || modified.After(before):
			found.Young++
		case len(found.Unseen) > 0:
		case o.dryRun:
			found.Removed++
		default:
			err := records.Remove(ctx, origin, id)
			switch {
			case ctx.Err() != nil:
				return nil, ctx.Err()
			case err == nil:
				found.Removed++
				log.Info("a window record that nothing names was removed", "bucket", bucket, "record", id)
			case errors.Is(err, state.ErrLocked):
				found.Locked++
			default:
				found.Failed[id] = err.Error()
			}
		}
	}
	return found, nil
}

func (r *removedRecords) err() error {
	switch {
	case len(r.Unseen) > 0:
		return fmt.Errorf("s3://%s: %d objects could not be looked at: no window record was removed", r.Bucket, len(r.Unseen))
	case len(r.Failed) > 0:
		return fmt.Errorf("s3://%s: %d window records could not be removed", r.Bucket, len(r.Failed))
	}
	return nil
}
