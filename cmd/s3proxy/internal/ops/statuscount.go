package ops

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/multipart"
	"github.com/s3proxy/s3proxy/proxy/state"
)

// statusCount is the work on one bucket.
type statusCount struct {
	KeyStatus
	bucket *Bucket
	mu     sync.Mutex
	uses   map[string]*KEKUse
	read   map[string]readRecord // by id
	// zeroUpload says that an upload of window 0 is in progress. Its object's key was wrapped a
	// moment before that of its state, perhaps by the previous version.
	zeroUpload bool
}

type readRecord struct {
	kek   string
	opens func() error // asks the KMS, once
}

// use gives the counts of a KEK. The caller must hold mu if others run.
func (c *statusCount) use(kek string) *KEKUse {
	if c.uses[kek] == nil {
		c.uses[kek] = &KEKUse{KEK: kek}
	}
	return c.uses[kek]
}

func (c *statusCount) countRecords(ctx context.Context, job Job) error {
	var ids []string
	if err := c.bucket.Records.List(ctx, c.bucket.Origin, func(l state.ListedRecord) error { ids = append(ids, l.ID); return nil }); err != nil {
		return err
	}
	job.Progress.Start(Walk{c.Place(), "records", len(ids)})
	defer job.Progress.Finish()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(job.Rate.Concurrency)
	for _, id := range ids {
		group.Go(func() error {
			_, err := c.record(ctx, id)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			seen := err == nil || errors.Is(err, kms.ErrNoRecord) // removed since
			job.Progress.Add(Step{Failed: !seen})
			if seen {
				return nil
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			c.Unreadable[Item{Record: id}] = err.Error()
			return nil
		})
	}
	return group.Wait()
}

// record reads a record and counts it, once, even if a proxy put it after the listing, perhaps under
// a version that it should no longer use.
func (c *statusCount) record(ctx context.Context, id string) (readRecord, error) {
	c.mu.Lock()
	known, ok := c.read[id]
	c.mu.Unlock()
	if ok {
		return known, nil
	}
	body, _, err := c.bucket.Records.Read(ctx, c.bucket.Origin, id)
	if err != nil {
		return readRecord{}, err
	}
	kek, err := kms.RecordKEK(body)
	if err != nil {
		return readRecord{}, err
	}
	ctx = context.WithoutCancel(ctx) // it also serves the next caller, and is bounded
	read := readRecord{kek, sync.OnceValue(func() error { return c.bucket.Keyring.OpenRecord(ctx, c.bucket.Origin, id, body) })}
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.read[id]; ok {
		return known, nil
	}
	c.read[id] = read
	c.Records++
	c.use(kek).Records++
	return read, nil
}

// object counts an object with the metadata m; old says that it is of the older s3proxy.
func (c *statusCount) object(ctx context.Context, item Item, m *envelope.Metadata, old bool) error {
	if m == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if old {
			c.Legacy++
		} else {
			c.Plain++
		}
		return nil
	}
	cover, err := c.cover(ctx, m)
	if err != nil {
		return fmt.Errorf("%v: %w", item, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	use := c.use(m.KEK)
	use.Objects++
	switch cover {
	case coveredByRecord:
		use.Covered++
		return nil
	case windowZero:
		use.WindowZero++
	case recordMissing:
		use.NoRecord++
	case recordBroken:
		use.BadRecord++
	}
	if cover != recordOfSameKEK && len(use.First) < maxFirst {
		use.First = append(use.First, item)
	}
	return nil
}

// cover says what can open an object without the KEK in its metadata.
type cover int

const (
	coveredByRecord cover = iota
	recordOfSameKEK
	windowZero
	recordMissing
	recordBroken
)

func (c *statusCount) cover(ctx context.Context, m *envelope.Metadata) (cover, error) {
	if m.Window == nil {
		return windowZero, nil
	}
	record, err := c.record(ctx, hex.EncodeToString(m.WindowID()))
	switch {
	case errors.Is(err, kms.ErrNoRecord):
		return recordMissing, nil
	case errors.Is(err, kms.ErrInvalid):
		return recordBroken, nil
	case err != nil:
		return 0, err
	case record.kek == m.KEK:
		return recordOfSameKEK, nil
	}
	if err = record.opens(); kms.Permanent(err) {
		return recordBroken, nil
	}
	return coveredByRecord, err
}

// countObjects counts all objects, versions and uploads in progress.
func (c *statusCount) countObjects(ctx context.Context, job Job) error {
	all := inventory{
		walker: c.bucket.walker(), bucket: c.Bucket, rate: job.Rate, progress: job.Progress,
		upload: func(u multipart.InProgress) error {
			c.zeroUpload = c.zeroUpload || u.Meta.Window == nil
			return c.object(ctx, Item{Key: u.Key, Upload: u.ID}, u.Meta, false)
		},
		object: c.object,
	}
	unreadable, err := all.take(ctx)
	if err != nil {
		return err
	}
	maps.Copy(c.Unreadable, unreadable)
	// Once more: a process that had not seen the new version may have made windows meanwhile, for
	// objects that the walk had already passed. Their records are put before them.
	return c.countRecords(ctx, job)
}
