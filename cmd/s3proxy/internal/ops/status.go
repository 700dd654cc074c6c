package ops

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Status counts what each KEK is needed for in a bucket, and says which are safe to destroy.
type Status struct {
	Job
	Bucket  string
	Objects bool     // look at all objects, versions and uploads too: else no KEK is safe
	KEKs    []string // ask for these, as a person names them; nil: all that anything names
}

func (s *Status) String() string { return "s3://" + s.Bucket }

// Place implements Plan.
func (s *Status) Place() Target { return Target{Bucket: s.Bucket} }

// KeyStatus is its report. The JSON names are part of the interface.
type KeyStatus struct {
	Outcome
	Current    string    `json:"current"`
	Records    int       `json:"records"`
	Objects    bool      `json:"objects-looked-at"`
	Plain      int       `json:"not-encrypted"`
	Legacy     int       `json:"legacy,omitempty"` // of the older s3proxy: not authenticated
	Keys       []*KEKUse `json:"keys"`             // by KEK
	Unreadable Reasons   `json:"unseen"`           // what could not be looked at, and why

	asked bool // for certain KEKs: the answer is no unless all of them are safe to destroy
}

// Failures implements Report.
func (s *KeyStatus) Failures() (failed []error) {
	if n := len(s.Unreadable); n > 0 {
		failed = append(failed, fmt.Errorf("%d records, objects or uploads could not be looked at", n))
	}
	for _, use := range s.Keys {
		if s.asked && !use.MayDestroy {
			failed = append(failed, No{fmt.Errorf("%s: %s", use.KEK, use.Why)})
		}
	}
	return failed
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
		KeyStatus: KeyStatus{Outcome: s.outcome(s.Place()), Current: rewrapping.KEK(), Objects: s.Objects, Unreadable: Reasons{}, asked: len(s.KEKs) > 0},
		bucket:    b,
		uses:      map[string]*KEKUse{}, read: map[string]readRecord{},
	}
	c.use(c.Current)
	if err := c.countRecords(ctx, s.Job); err != nil {
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

// choose lists the KEKs that were asked for, or all if none was.
func (c *statusCount) choose(ctx context.Context, s *Status) error {
	for _, given := range s.KEKs {
		kek, known, err := s.Buckets.NamedKEK(ctx, s.Bucket, given)
		if err != nil {
			return fmt.Errorf("kek %s: %w", given, err)
		}
		if !strings.Contains(kek, "#") {
			return mistake("kek: %s is a key with several versions: add # and one of them, as keys status shows it", given)
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
