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

// Rotate says what a rotation is to do to all its targets.
type Rotate struct {
	Job
	OnlyWriter
	Objects bool          // renew the metadata of each object too, in place
	From    string        // only what this key or version wraps, as a person calls it; "": all
	Settle  time.Duration // how long others may go on with an older version
}

// rotation wraps the window records of a bucket anew under the current version of its key.
type rotation struct {
	Rotate
	at    Target
	from  string           // a KEK's name, or all of a key; "": all
	began func() time.Time // when the first of the command's rotations began: the new version was there then
}

func (r *rotation) String() string { return "s3://" + r.at.Bucket }

// PlanRotations looks for what makes a rotation needless to begin, before there is a new
// version for nothing.
func PlanRotations(ctx context.Context, o Rotate, targets []Target) ([]Plan[*Rotated], error) {
	began := sync.OnceValue(time.Now)
	var plans []Plan[*Rotated]
	for _, at := range targets {
		if err := reach(ctx, o.Buckets, at.Bucket); err != nil {
			return nil, fmt.Errorf("%v: %w", at, err)
		}
		from, err := fromKEK(ctx, o.Buckets, at.Bucket, o.From)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", at, err)
		}
		plans = append(plans, &rotation{Rotate: o, at: at, from: from, began: began})
	}
	return plans, nil
}

// Rotated is what came of a rotation; the JSON names are part of the interface.
type Rotated struct {
	Bucket    string            `json:"bucket"`
	KEK       string            `json:"kek"`
	Records   int               `json:"records"`
	Rewrapped int               `json:"rewrapped"`       // or would be, in a dry run
	Current   int               `json:"current"`         // of that KEK already
	Left      int               `json:"left"`            // of other KEKs than those to be rotated away from
	Failed    map[string]string `json:"failed"`          // reason by record id
	Floor     string            `json:"floor,omitempty"` // what became of the bucket's floor; "" where it has none
	Objects   *Renewed          `json:"objects,omitempty"`
}

// Failures implements Report.
func (r *Rotated) Failures() (failed []error) {
	if n := len(r.Failed); n > 0 {
		failed = append(failed, fmt.Errorf("%d records could not be wrapped anew", n))
	}
	if r.Objects != nil && len(r.Objects.Failed) > 0 {
		failed = append(failed, fmt.Errorf("%d objects could not be renewed", len(r.Objects.Failed)))
	}
	return failed
}

// fromKEK is what a person means by a key of a bucket: the name of a KEK, or of all of a key.
func fromKEK(ctx context.Context, buckets Buckets, bucket, given string) (string, error) {
	if given == "" {
		return "", nil
	}
	kek, known, err := buckets.NamedKEK(ctx, bucket, given)
	switch {
	case err != nil:
		return "", fmt.Errorf("from %s: %w", given, err)
	case !known:
		return "", mistake("from: no configured key of the bucket is called %s: keys that are not --kms go to --kms-read", given)
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
	// Also when this run found nothing to do: one before it may have been ended here.
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

// floor wraps the bucket's floor anew, if it has one, and tells what became of it.
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

// isFrom tells whether a KEK is one that is to be rotated away from.
func (r *rotation) isFrom(kek string) bool {
	base, _, _ := strings.Cut(kek, "#")
	return r.from == "" || kek == r.from || base == r.from
}
