package ops

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/inplace"
	"github.com/s3proxy/s3proxy/proxy/state"
)

// Rekey says how to encrypt the objects of buckets again after the theft of a key.
type Rekey struct {
	Job
	OnlyWriter
	NewVersion  bool          // the caller makes a new version between the plans and their run
	KeyIsNew    bool          // the key for writing was made after the theft, even if objects name it
	Resume      string        // the open floor to go on with; "" begins one
	Discard     bool          // replace an open floor of somebody else's
	LeaveBehind bool          // close the floor even if something is left below it
	Stolen      []string      // KEKs to refuse too, as a person names them
	Settle      time.Duration // how long others may take to see the new floor
	// Opened is called once a bucket's floor is open: from then on a run can be resumed.
	Opened func(bucket, floor string)
}

// Rekeyed is its report. The JSON names are part of the interface.
type Rekeyed struct {
	Outcome
	KEK    string `json:"kek"`
	Floor  string `json:"floor"`
	Closed bool   `json:"closed"`
	*Rewritten
	// What is below the floor and cannot be encrypted again in place:
	OldVersions int     `json:"old-versions"`
	Uploads     int     `json:"uploads"`
	Records     int     `json:"records-removed"` // of windows from before
	First       []Item  `json:"first,omitempty"` // some of these
	Unreadable  Reasons `json:"unseen"`          // what could not be looked at, and why

	whole bool // the plan was run to its end
}

// Failures implements Report.
func (r *Rekeyed) Failures() []error {
	if n := r.left(); r.whole && n > 0 && !r.Closed {
		return []error{fmt.Errorf("%d objects, versions or uploads are left under old keys", n)}
	}
	return nil
}

// rekeying is the work on one bucket.
type rekeying struct {
	Rekey
	bucket  *Bucket
	refused []string
	rewrite *rewrite
	found   *Rekeyed
}

func (r *rekeying) String() string { return "s3://" + r.bucket.Name }

// Place implements Plan.
func (r *rekeying) Place() Target { return r.found.Place() }

// PlanRekeys looks at the buckets, and at the KEKs that a thief may have, before anybody makes a
// new version in vain.
func PlanRekeys(ctx context.Context, o Rekey, buckets []string) ([]Plan[*Rekeyed], error) {
	var plans []Plan[*Rekeyed]
	for _, bucket := range buckets {
		plan, err := newRekeying(ctx, o, bucket)
		if err != nil {
			return nil, fmt.Errorf("s3://%s: %w", bucket, err)
		}
		plans = append(plans, plan)
	}
	return plans, nil
}

func newRekeying(ctx context.Context, o Rekey, bucket string) (*rekeying, error) {
	if err := reach(ctx, o.Buckets, bucket); err != nil {
		return nil, err
	}
	b, err := o.Buckets.Open(ctx, bucket)
	if err != nil {
		return nil, err
	}
	if b.Served.Passthrough {
		return nil, errPassthrough
	}
	r := &rekeying{
		Rekey: o, bucket: b, rewrite: newRewrite(b, "", o.Job, o.OnlyWriter),
		found: &Rekeyed{Outcome: o.outcome(Target{Bucket: bucket}), Rewritten: &Rewritten{Failed: Reasons{}}, Unreadable: Reasons{}},
	}
	r.rewrite.due = func(ctx context.Context, key string, m *envelope.Metadata) (bool, error) {
		return r.below(ctx, key, "", m)
	}
	r.rewrite.change = func(ctx context.Context, key string, n *inplace.Renewal) error {
		return r.rewrite.renewer.Rekey(ctx, bucket, key, n)
	}
	if o.Resume == "" && !o.DryRun { // else the floor exists, and says what it refuses
		if r.refused, err = r.stolenKEKs(ctx); err != nil {
			return nil, err
		}
		named, err := namedStolen(ctx, o.Buckets, bucket, o.Stolen)
		if err != nil {
			return nil, err
		}
		r.refused = append(r.refused, named...)
	}
	return r, nil
}

// Run implements Plan.
func (r *rekeying) Run(ctx context.Context) (*Rekeyed, error) {
	err := r.run(ctx)
	r.found.whole = err == nil
	if r.found.Floor == "" && !r.DryRun { // nothing was done
		return nil, err
	}
	return r.found, err
}

func (r *rekeying) run(ctx context.Context) (err error) {
	if r.DryRun {
		r.found.Rewritten, err = r.rewrite.run(ctx)
		return err
	}
	floor, err := r.bucket.Keyring.OpenFloor(ctx, r.bucket.Origin, r.refused, r.Resume, r.Discard)
	if err != nil {
		return err
	}
	r.found.Floor, r.found.KEK = floor.ID, strings.Join(floor.KEKs, " ")
	r.Opened(r.found.Bucket, floor.ID)
	if err := wait(ctx, r.Settle); err != nil { // then all proxies write under the floor
		return err
	}
	if r.rewrite.uploading, err = uploading(ctx, r.rewrite.walker, r.found.Bucket, ""); err != nil {
		return err
	}
	if r.found.Rewritten, err = r.rewrite.run(ctx); err != nil {
		return err
	}
	// An earlier upload may become an object as long as it exists: first make sure that there is
	// none, then look again at what was written meanwhile.
	if err := r.countUploads(ctx); err != nil {
		return err
	}
	if err := r.rewrite.again(ctx, r.found.Rewritten); err != nil {
		return err
	}
	if err := r.rewrite.renewSettings(ctx, r.bucket.Served); err != nil {
		return err
	}
	if err := r.countOldVersions(ctx); err != nil {
		return err
	}
	if r.found.left() > 0 && !r.LeaveBehind {
		return nil
	}
	if err := r.bucket.Keyring.CloseFloor(ctx, r.bucket.Origin, floor.ID); err != nil {
		return err
	}
	r.found.Closed = true
	return r.removeRecords(ctx, floor.Refused)
}

// removeRecords removes the window records that old KEKs wrap: nothing under a closed floor belongs
// to such a window, and no rotation could rewrap them once those KEKs are gone.
func (r *rekeying) removeRecords(ctx context.Context, refused []string) error {
	return eachRecordKEK(ctx, r.bucket.Records, r.bucket.Origin, func(id, kek string) error {
		if !slices.Contains(refused, kek) {
			return nil
		}
		err := r.bucket.Records.Remove(ctx, r.bucket.Origin, id)
		switch {
		case errors.Is(err, state.ErrLocked): // only for a minute; gc --records will find it
			return nil
		case err == nil:
			r.found.Records++
		}
		return err
	})
}
