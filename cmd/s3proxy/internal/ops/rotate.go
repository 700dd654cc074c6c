package ops

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/s3proxy/s3proxy/kms"
)

// Rotate says what a rotation does to all its targets.
type Rotate struct {
	Job
	OnlyWriter
	Objects bool          // renew the metadata of each object too, in place
	From    string        // only what this key or version wraps, as a person names it; "": all
	Settle  time.Duration // how long others may go on with an older version
}

// rotation rewraps the window records of a bucket under the current version of its key.
type rotation struct {
	Rotate
	at    Target
	from  string           // a KEK's name, or all of a key; "": all
	began func() time.Time // when the first of the command's rotations began: the new version was there then
}

func (r *rotation) String() string { return "s3://" + r.at.Bucket }

// Place implements Plan.
func (r *rotation) Place() Target { return r.at }

// PlanRotations looks for reasons not to begin a rotation, before anybody makes a new version in
// vain.
func PlanRotations(ctx context.Context, o Rotate, targets []Target) ([]Plan[*Rotated], error) {
	began := sync.OnceValue(time.Now)
	return planEach(o.Job, targets, func(at Target) (Plan[*Rotated], error) {
		if err := reach(ctx, o.Buckets, at.Bucket); err != nil {
			return nil, err
		}
		from, err := fromKEK(ctx, o.Buckets, at.Bucket, o.From)
		return &rotation{Rotate: o, at: at, from: from, began: began}, err
	})
}

// Rotated is the report of a rotation. The JSON names are part of the interface.
type Rotated struct {
	Outcome
	KEK       string   `json:"kek"`
	Records   int      `json:"records"`
	Rewrapped int      `json:"rewrapped"` // or would be, in a dry run
	Current   int      `json:"current"`   // under that KEK already
	Left      int      `json:"left"`      // under KEKs that From does not name
	Failed    Reasons  `json:"failed"`
	Floor     string   `json:"floor,omitempty"` // what became of the bucket's floor; "" where it has none
	Objects   *Renewed `json:"objects,omitempty"`
}

// Failures implements Report.
func (r *Rotated) Failures() (failed []error) {
	if n := len(r.Failed); n > 0 {
		failed = append(failed, fmt.Errorf("%d records could not be rewrapped", n))
	}
	if r.Objects != nil && len(r.Objects.Failed) > 0 {
		failed = append(failed, fmt.Errorf("%d objects could not be renewed", len(r.Objects.Failed)))
	}
	return failed
}

// fromKEK gives what a person means by a key of a bucket: the name of a KEK, or of all versions of
// a key.
func fromKEK(ctx context.Context, buckets Buckets, bucket, given string) (string, error) {
	if given == "" {
		return "", nil
	}
	kek, known, err := buckets.NamedKEK(ctx, bucket, given)
	switch {
	case err != nil:
		return "", fmt.Errorf("from %s: %w", given, err)
	case !known:
		return "", mistake("from: the bucket has no configured key named %s: name keys other than --kms in --kms-read", given)
	}
	return kek, nil
}

// Run implements Plan, in two passes: the second catches what a process wrapped meanwhile
// under the old version.
func (r *rotation) Run(ctx context.Context) (*Rotated, error) {
	began := r.began()
	b, err := r.Buckets.Open(ctx, r.at.Bucket)
	if err != nil {
		return nil, err
	}
	rewrapping, err := b.Keyring.NewRewrapping(ctx)
	if err != nil {
		return nil, err
	}
	found, err := r.records(ctx, b, rewrapping)
	if err != nil {
		return found, err
	}
	if found.Floor, err = r.floor(ctx, b, rewrapping); err != nil {
		return found, err
	}
	if r.Objects {
		if found.Objects, err = r.renewObjects(ctx, b, rewrapping); err != nil {
			return found, err
		}
	}
	if r.DryRun {
		return found, nil
	}
	// Even if this run found nothing to do: an earlier one may have been interrupted here.
	if err := wait(ctx, r.Settle-time.Since(began)); err != nil {
		return found, err
	}
	again, err := r.records(ctx, b, rewrapping)
	if err != nil {
		return found, err
	}
	again.Rewrapped += found.Rewrapped
	again.Current -= found.Rewrapped
	again.Floor = found.Floor
	if again.Objects = found.Objects; r.Objects {
		err = again.Objects.again(ctx, rewrapping)
	}
	return again, err
}

// floor rewraps the bucket's floor, if it has one, and says what became of it.
func (r *rotation) floor(ctx context.Context, b *Bucket, rewrapping *kms.Rewrapping) (string, error) {
	state, err := b.Keyring.ReadFloor(ctx, b.Origin)
	if err != nil || state.ID == "" {
		return "", err
	}
	if r.DryRun || r.from != "" && !slices.ContainsFunc(state.KEKs, r.isFrom) {
		return "left", nil
	}
	changed, err := b.Keyring.RewrapFloor(ctx, b.Origin, rewrapping.KEK())
	switch {
	case errors.Is(err, kms.ErrFloorNotNamed):
		r.Log.Warn("the bucket's floor was left under its key", "bucket", b.Name, "error", err)
		return "left", nil
	case err != nil:
		return "", err
	case changed:
		return "rewrapped", nil
	}
	return "current", nil
}

// isFrom tells whether to rotate away from a KEK.
func (r *rotation) isFrom(kek string) bool {
	base, _, _ := strings.Cut(kek, "#")
	return r.from == "" || kek == r.from || base == r.from
}
