package ops

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy"
	"github.com/s3proxy/s3proxy/proxy/state"
)

// statusCount is the work on one bucket.
type statusCount struct {
	KeyStatus
	bucket *Bucket
	mu     sync.Mutex
	uses   map[string]*KEKUse
	read   map[string]readRecord // by id
	// zeroUpload says that an upload of window 0 is in progress. Its object's key was
	// wrapped a moment before that of its state, perhaps by the version before.
	zeroUpload bool
}

type readRecord struct {
	kek   string
	opens func() error // asks the KMS, once
}

// Run implements Plan.
func (s *Status) Run(ctx context.Context) (*KeyStatus, error) {
	if err := reach(ctx, s.Buckets, s.Bucket); err != nil {
		return nil, err
	}
	b, err := s.Buckets.Open(ctx, s.Bucket)
	if err != nil {
		return nil, err
	}
	rewrapping, err := b.Keyring.NewRewrapping(ctx)
	if err != nil {
		return nil, err
	}
	c := &statusCount{
		KeyStatus: KeyStatus{Bucket: s.Bucket, Current: rewrapping.KEK(), Objects: s.Objects, Unseen: map[string]string{}, asked: len(s.KEKs) > 0},
		bucket:    b,
		uses:      map[string]*KEKUse{}, read: map[string]readRecord{},
	}
	c.use(c.Current)
	if err := c.countRecords(ctx, s.Rate); err != nil {
		return nil, err
	}
	if s.Objects {
		if err := c.countObjects(ctx, s.Job); err != nil {
			return nil, err
		}
	}
	floor, err := b.Keyring.ReadFloor(ctx, b.Origin)
	if err != nil {
		return nil, err
	}
	for _, kek := range floor.KEKs {
		c.use(kek).Floor = true
	}
	if err := c.choose(ctx, s); err != nil {
		return nil, err
	}
	for _, use := range c.Keys {
		use.Why = c.needs(use)
		use.MayDestroy = use.Why == ""
	}
	return &c.KeyStatus, nil
}

// choose lists the KEKs that were asked for; all, if none was.
func (c *statusCount) choose(ctx context.Context, s *Status) error {
	for _, given := range s.KEKs {
		kek, known, err := s.Buckets.NamedKEK(ctx, s.Bucket, given)
		if err != nil {
			return fmt.Errorf("kek %s: %w", given, err)
		}
		if !strings.Contains(kek, "#") {
			return mistake("kek: %s is a key with many versions: add # and one of them, as keys status shows it", given)
		}
		use := c.use(kek)
		use.unknown = !known
		c.Keys = append(c.Keys, use)
	}
	if s.KEKs == nil {
		c.Keys = slices.SortedFunc(maps.Values(c.uses), func(a, b *KEKUse) int { return strings.Compare(a.KEK, b.KEK) })
	}
	return nil
}

// countObjects counts all objects, versions and uploads in progress.
func (c *statusCount) countObjects(ctx context.Context, job Job) error {
	all := inventory{
		walker: c.bucket.walker(), bucket: c.Bucket, rate: job.Rate, progress: job.Progress,
		upload: func(u proxy.InProgress) error {
			c.zeroUpload = c.zeroUpload || u.Meta.Window == nil
			return c.object(ctx, fmt.Sprintf("upload of %q", u.Key), u.Meta)
		},
		object: c.object,
	}
	unreadable, err := all.take(ctx)
	if err != nil {
		return err
	}
	maps.Copy(c.Unseen, unreadable)
	// Once more: a process that had not seen the new version yet may have made windows
	// meanwhile, for objects that the walk had passed by. A record is put before them.
	return c.countRecords(ctx, job.Rate)
}

// use gives the counts of a KEK; the caller holds mu where others run.
func (c *statusCount) use(kek string) *KEKUse {
	if c.uses[kek] == nil {
		c.uses[kek] = &KEKUse{KEK: kek}
	}
	return c.uses[kek]
}

func (c *statusCount) countRecords(ctx context.Context, rate Rate) error {
	var ids []string
	if err := c.bucket.Records.List(ctx, c.bucket.Origin, func(l state.ListedRecord) error { ids = append(ids, l.ID); return nil }); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(rate.Concurrency)
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
	body, _, err := c.bucket.Records.Read(ctx, c.bucket.Origin, id)
	if err != nil {
		return readRecord{}, err
	}
	kek, err := kms.RecordKEK(body)
	if err != nil {
		return readRecord{}, err
	}
	ctx = context.WithoutCancel(ctx) // it serves whoever asks next, and is bounded
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
func (c *statusCount) needs(use *KEKUse) string {
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

// Status counts what each KEK is needed for in a bucket, and says which may be destroyed.
type Status struct {
	Job
	Bucket  string
	Objects bool     // look at all objects, versions and uploads too: else no KEK may be
	KEKs    []string // may these be destroyed? As a person calls them; nil: all that anything names
}

func (s *Status) String() string { return "s3://" + s.Bucket }

// KeyStatus is what came of it; the JSON names are part of the interface.
type KeyStatus struct {
	Bucket  string            `json:"bucket"`
	Current string            `json:"current"`
	Records int               `json:"records"`
	Objects bool              `json:"objects-looked-at"`
	Plain   int               `json:"not-encrypted"`
	Keys    []*KEKUse         `json:"keys"`   // by KEK
	Unseen  map[string]string `json:"unseen"` // what could not be looked at, and why

	asked bool // for certain KEKs: the report is a failure unless all of them may go
}

// KEKUse counts what names a version of a key.
type KEKUse struct {
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

// Failures implements Report.
func (s *KeyStatus) Failures() (failed []error) {
	if n := len(s.Unseen); n > 0 {
		failed = append(failed, fmt.Errorf("%d could not be looked at", n))
	}
	for _, use := range s.Keys {
		if s.asked && !use.MayDestroy {
			failed = append(failed, fmt.Errorf("%s: %s", use.KEK, use.Why))
		}
	}
	return failed
}

// maxFirst bounds how many objects are named as a reason.
const maxFirst = 5
