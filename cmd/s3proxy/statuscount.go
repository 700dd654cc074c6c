package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy"
	"github.com/s3proxy/s3proxy/proxy/state"
)

// statusCount is the work on one bucket.
type statusCount struct {
	keyStatus
	ring    *kms.Keyring
	records state.Records
	origin  string // the name that the keys are bound to
	mu      sync.Mutex
	uses    map[string]*kekUse
	read    map[string]readRecord // by id
	// zeroUpload says that an upload of window 0 is in progress. Its object's key was
	// wrapped a moment before that of its state, perhaps by the version before.
	zeroUpload bool
}

type readRecord struct {
	kek   string
	opens func() error // asks the KMS, once
}

func bucketStatus(ctx context.Context, s *stores, bucket string, o statusOptions, errOut io.Writer) (*keyStatus, error) {
	if err := s.reach(ctx, bucket); err != nil {
		return nil, err
	}
	ring, records, err := s.keyring(ctx, bucket)
	if err != nil {
		return nil, err
	}
	rewrapping, err := ring.NewRewrapping(ctx)
	if err != nil {
		return nil, err
	}
	c := &statusCount{
		keyStatus: keyStatus{Bucket: bucket, Current: rewrapping.KEK(), Objects: o.objects, Unseen: map[string]string{}},
		ring:      ring, records: records, origin: cmp.Or(s.c.Buckets[bucket].Alias, bucket),
		uses: map[string]*kekUse{}, read: map[string]readRecord{},
	}
	c.use(c.Current)
	if err := c.countRecords(ctx, o.pace); err != nil {
		return nil, err
	}
	if o.objects {
		all := census{
			walker: proxy.Walker{Store: records.Store, Place: s.c.State}, bucket: bucket, pace: o.pace, errOut: errOut,
			upload: func(u proxy.InProgress) error {
				c.zeroUpload = c.zeroUpload || u.Meta.Window == nil
				return c.object(ctx, fmt.Sprintf("upload of %q", u.Key), u.Meta)
			},
			object: c.object,
		}
		unseen, err := all.run(ctx)
		if err != nil {
			return nil, err
		}
		maps.Copy(c.Unseen, unseen)
		// Once more: a process that had not seen the new version yet may have made windows
		// meanwhile, for objects that the walk had passed by. A record is put before them.
		if err := c.countRecords(ctx, o.pace); err != nil {
			return nil, err
		}
	}
	floor, err := ring.ReadFloor(ctx, c.origin)
	if err != nil {
		return nil, err
	}
	for _, kek := range floor.KEKs {
		c.use(kek).Floor = true
	}
	for _, given := range o.keks {
		kek, known, err := s.namedKEK(ctx, bucket, given)
		if err != nil {
			return nil, fmt.Errorf("kek %s: %w", given, err)
		}
		if !strings.Contains(kek, "#") {
			return nil, config.Usagef("kek: %s is a key with many versions: add # and one of them, as keys status shows it", given)
		}
		use := c.use(kek)
		use.unknown = !known
		c.Keys = append(c.Keys, use)
	}
	if o.keks == nil {
		c.Keys = slices.SortedFunc(maps.Values(c.uses), func(a, b *kekUse) int { return strings.Compare(a.KEK, b.KEK) })
	}
	for _, use := range c.Keys {
		use.Why = c.needs(use)
		use.MayDestroy = use.Why == ""
	}
	return &c.keyStatus, nil
}

// use gives the counts of a KEK; the caller holds mu where others run.
func (c *statusCount) use(kek string) *kekUse {
	if c.uses[kek] == nil {
		c.uses[kek] = &kekUse{KEK: kek}
	}
	return c.uses[kek]
}

func (c *statusCount) countRecords(ctx context.Context, p pace) error {
	var ids []string
	if err := c.records.List(ctx, c.origin, func(l state.ListedRecord) error { ids = append(ids, l.ID); return nil }); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(p.concurrency)
	for _, id := range ids {
		group.Go(func() error {
			_, err := c.record(ctx, id)
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err == nil || errors.Is(err, kms.ErrNoRecord): // removed since
				return nil
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			c.Unseen["window record "+id] = err.Error()
			return nil
		})
	}
	return group.Wait()
}

// record reads a record and counts it, once: also one that a proxy put after they were
// listed, perhaps under a version that it should no longer use.
func (c *statusCount) record(ctx context.Context, id string) (readRecord, error) {
	c.mu.Lock()
	known, ok := c.read[id]
	c.mu.Unlock()
	if ok {
		return known, nil
	}
	body, _, err := c.records.Read(ctx, c.origin, id)
	if err != nil {
		return readRecord{}, err
	}
	kek, err := kms.RecordKEK(body)
	if err != nil {
		return readRecord{}, err
	}
	ctx = context.WithoutCancel(ctx) // it serves whoever asks next, and is bounded
	read := readRecord{kek, sync.OnceValue(func() error { return c.ring.OpenRecord(ctx, c.origin, id, body) })}
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

// object counts what names m's KEK.
func (c *statusCount) object(ctx context.Context, name string, m *envelope.Metadata) error {
	if m == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.Plain++
		return nil
	}
	cover, err := c.cover(ctx, m)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
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
		use.First = append(use.First, name)
	}
	return nil
}

// cover says what an object has to be opened by without the KEK in its metadata.
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

// needs says why a KEK must stay; "" if it may go.
func (c *statusCount) needs(use *kekUse) string {
	var why []string
	because := func(n int, what string) {
		if n > 0 {
			why = append(why, fmt.Sprintf("%d %s", n, what))
		}
	}
	if use.KEK == c.Current {
		why = append(why, "it is the current one")
	}
	if use.Floor {
		why = append(why, "the bucket's floor is wrapped by it (name it in the settings, floor, and keys rotate)")
	}
	because(use.Records, "window records are wrapped by it (keys rotate)")
	because(use.WindowZero, "objects of window 0 have no record (keys rotate --objects)")
	because(use.NoRecord, "objects have no window record any more (keys rotate --objects)")
	because(use.BadRecord, "objects have a window record that does not open")
	switch {
	case len(why) > 0:
	case !c.Objects:
		why = append(why, "not known: only --objects looks at them")
	case use.unknown && use.Objects == 0: // another spelling of a name, perhaps
		why = append(why, "not known: nothing here names it, and no configured key is called so")
	case len(c.Unseen) > 0:
		why = append(why, "not known: not everything could be looked at")
	case c.zeroUpload:
		why = append(why, "not known while uploads of window 0 are in progress")
	}
	return strings.Join(why, ", ")
}

// statusOptions are the flags of keys status.
type statusOptions struct {
	objects, json bool
	keks          []string
	pace          pace
}

// keyStatus is what keys status tells of a bucket; the JSON names are part of the interface.
type keyStatus struct {
	Bucket  string            `json:"bucket"`
	Current string            `json:"current"`
	Records int               `json:"records"`
	Objects bool              `json:"objects-looked-at"`
	Plain   int               `json:"not-encrypted"`
	Keys    []*kekUse         `json:"keys"`   // by KEK
	Unseen  map[string]string `json:"unseen"` // what could not be looked at, and why
}

// kekUse counts what names a version of a key.
type kekUse struct {
	KEK     string `json:"kek"`
	Records int    `json:"records"`
	Objects int    `json:"objects"` // versions and uploads in progress among them
	// Of the objects:
	Covered    int `json:"covered"` // their record is another key's, and opens
	WindowZero int `json:"window-0"`
	NoRecord   int `json:"record-missing"`
	BadRecord  int `json:"record-broken"`
	// Floor: the bucket's floor is wrapped by it.
	Floor bool `json:"floor,omitempty"`
	// Some of those that are not covered, by name.
	First      []string `json:"first,omitempty"`
	MayDestroy bool     `json:"may-be-destroyed"`
	Why        string   `json:"why"`

	unknown bool // no configured key is called so
}

// maxFirst bounds how many objects are named as a reason.
const maxFirst = 5
