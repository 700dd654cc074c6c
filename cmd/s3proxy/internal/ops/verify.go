package ops

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/legacy"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/state"
)

// Verify reads what is below a target and authenticates every byte, without keeping any. For a
// whole bucket it also opens the window records.
type Verify struct {
	Job
	Target
	Versions bool    // also read versions that are not current
	Sample   float64 // the share of the objects to read, chosen at random; 1: all
}

// Verified is its report. The JSON names are part of the interface.
type Verified struct {
	Outcome
	Objects int     `json:"objects"` // read
	Bytes   int64   `json:"bytes"`   // of plaintext
	Plain   int     `json:"not-encrypted"`
	Legacy  int     `json:"legacy,omitempty"` // of Objects, those of the older s3proxy: their MD5 was compared, nothing authenticates them
	Records int     `json:"records"`
	Bad     Reasons `json:"bad"`

	mu sync.Mutex
}

// Failures implements Report.
func (v *Verified) Failures() []error {
	if n := len(v.Bad); n > 0 {
		return []error{fmt.Errorf("%d objects or records are damaged or could not be read", n)}
	}
	return nil
}

// Run implements Plan.
func (v *Verify) Run(ctx context.Context) (*Verified, error) {
	b, err := v.Buckets.Open(ctx, v.Bucket)
	if err != nil {
		return nil, err
	}
	if b.Served.Passthrough {
		return nil, errPassthrough
	}
	found := &Verified{Outcome: v.outcome(v.Target), Bad: Reasons{}}
	if v.Prefix == "" {
		if err := found.records(ctx, b, v.Progress); err != nil {
			return found, err
		}
	}
	list := b.walker().Objects
	if v.Versions {
		list = b.walker().Versions
	}
	objects := walk{Rate: v.Rate, at: v.Target, progress: v.Progress, list: func(ctx context.Context, visit func(listed) error) error {
		return list(ctx, v.Bucket, v.Prefix, func(l listed) error {
			if v.Sample < 1 && rand.Float64() >= v.Sample {
				return nil
			}
			return visit(l)
		})
	}}
	return found, objects.each(ctx, func(ctx context.Context, l listed) (Step, error) { return found.object(ctx, b.Served, l) })
}

// maxReads bounds how often to read an object that does not authenticate: some stores mix two
// states of an object that is being overwritten.
const maxReads = 3

func (v *Verified) object(ctx context.Context, b object.Settings, l listed) (Step, error) {
	var size int64
	var old bool
	var err error
	for try := range maxReads {
		select {
		case <-ctx.Done():
			return Step{}, ctx.Err()
		case <-time.After(time.Duration(try) * 100 * time.Millisecond):
		}
		size, old, err = readThrough(ctx, b, v.Bucket, l)
		if err == nil || errors.Is(err, s3err.NoSuchKey) || errors.Is(err, s3err.NoSuchVersion) || errors.Is(err, envelope.ErrNotEncrypted) {
			break
		}
	}
	gone, err := deletedSince(l, err)
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return Step{}, ctx.Err()
	case gone:
		return Step{}, nil
	case errors.Is(err, kms.ErrUnavailable): // so it would be for all others
		return Step{}, fmt.Errorf("%v: %w", named(l), err)
	case errors.Is(err, legacy.ErrNoKey): // bad, whatever may be read
	case errors.Is(err, envelope.ErrNotEncrypted):
		v.Plain++
		if b.AllowPlaintextReads {
			return Step{}, nil
		}
	}
	v.Objects++
	v.Bytes += size
	if old {
		v.Legacy++
	}
	if err != nil {
		v.Bad[named(l)] = err.Error()
	}
	return Step{size, err != nil}, nil
}

// readThrough authenticates an object and discards its bytes. Of one of the older s3proxy it compares
// the MD5.
func readThrough(ctx context.Context, b object.Settings, bucket string, l listed) (n int64, old bool, err error) {
	object, err := object.OpenStored(ctx, b, bucket, l.Key, l.Version)
	if err != nil {
		return 0, false, err
	}
	n, err = object.WriteTo(io.Discard)
	if err == nil && n != object.Size {
		err = fmt.Errorf("got %d of %d bytes", n, object.Size)
	}
	return n, object.Old, errors.Join(err, object.Close())
}

// records opens all window records of a bucket.
func (v *Verified) records(ctx context.Context, b *Bucket, progress Progress) error {
	progress.Start(Walk{Target: v.Place(), Unit: "records"})
	defer progress.Finish()
	return b.Records.List(ctx, b.Origin, func(l state.ListedRecord) error {
		record, err := b.Records.GetRecord(ctx, b.Origin, l.ID)
		if err == nil {
			err = b.Keyring.OpenRecord(ctx, b.Origin, l.ID, record)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, kms.ErrUnavailable):
			return err
		case errors.Is(err, kms.ErrNoRecord): // removed since
			return nil
		case err != nil:
			v.Bad[Item{Record: l.ID}] = err.Error()
		}
		v.Records++
		progress.Add(Step{Failed: err != nil})
		return nil
	})
}
