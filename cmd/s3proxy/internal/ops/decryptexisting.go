package ops

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/inplace"
	"github.com/s3proxy/s3proxy/proxy/multipart"
	"github.com/s3proxy/s3proxy/proxy/object"
)

// DecryptExisting leaves, in place, the plaintext of the objects below a target.
type DecryptExisting struct {
	Job
	Target
	OnlyWriter

	bucket *Bucket
}

// DecryptedExisting is its report. The JSON names are part of the interface.
type DecryptedExisting struct {
	Outcome
	*Rewritten
	OldVersions int     `json:"old-versions-encrypted"`
	Uploads     int     `json:"uploads"` // in progress, whose objects will be encrypted
	Unreadable  Reasons `json:"unseen"`  // old versions that could not be looked at
	// Done says that all current objects are plaintext, and no upload will change that.
	Done bool `json:"all-is-plaintext"`
	// Passthrough says that proxies leave what is written as it is.
	Passthrough bool `json:"encrypt-is-off"`
}

// Failures implements Report.
func (d *DecryptedExisting) Failures() (failed []error) {
	if n := len(d.Failed) + d.Locked + d.Archived; n > 0 {
		failed = append(failed, fmt.Errorf("%d objects could not be decrypted", n))
	}
	return append(failed, unseenVersions(d.Unreadable)...)
}

// errNotReadable refuses a bucket whose clients would lose sight of what is decrypted.
var errNotReadable = errors.New("a proxy with these settings refuses its clients what is not encrypted: set allow-plaintext-reads for the bucket, and restart serve, before anything is decrypted")

// errOldObject refuses ciphertext that would pass for plaintext.
var errOldObject = errors.New("the older s3proxy has encrypted it, without anything that authenticates it: make it ours first, by encrypt-existing --legacy (docs/MIGRATE.md)")

// PlanDecryption looks at the settings of all buckets before anything is written in one of them.
func PlanDecryption(ctx context.Context, o DecryptExisting, targets []Target) ([]Plan[*DecryptedExisting], error) {
	return planEach(o.Job, targets, func(at Target) (Plan[*DecryptedExisting], error) {
		b, err := o.Buckets.Open(ctx, at.Bucket)
		if err != nil {
			return nil, err
		}
		if !b.Served.AllowPlaintextReads && !b.Served.Passthrough && !o.DryRun {
			return nil, Mistake{errNotReadable}
		}
		plan := o
		plan.Target, plan.bucket = at, b
		return &plan, nil
	})
}

// Run implements Plan.
func (d *DecryptExisting) Run(ctx context.Context) (*DecryptedExisting, error) {
	r := newRewrite(d.bucket, d.Prefix, d.Job, d.OnlyWriter)
	r.due = func(_ context.Context, _ string, m *envelope.Metadata) (bool, error) { return m != nil, nil }
	r.refuse = func(i *object.Inspection) error {
		if i.Legacy {
			return errOldObject
		}
		return nil
	}
	r.change = func(_ context.Context, _ string, n *inplace.Renewal) error { return r.renewer.Decrypt(n) }
	found := &DecryptedExisting{
		Outcome: d.outcome(d.Target), Rewritten: &Rewritten{Failed: Reasons{}}, Unreadable: Reasons{}, Passthrough: d.bucket.Served.Passthrough,
	}
	var err error
	if r.uploading, err = uploading(ctx, r.walker, d.Bucket, d.Prefix); err != nil {
		return found, err
	}
	if found.Rewritten, err = r.run(ctx); err != nil {
		return found, err
	}
	if !d.DryRun {
		if err := r.again(ctx, found.Rewritten); err != nil {
			return found, err
		}
	}
	if err := r.walker.Uploads(ctx, d.Bucket, func(u multipart.InProgress) error {
		if u.Meta != nil && strings.HasPrefix(u.Key, d.Prefix) {
			found.Uploads++
		}
		return nil
	}); err != nil {
		return found, err
	}
	found.OldVersions, found.Unreadable, err = r.countOld(ctx, func(o *object.Inspection) bool { return o.Metadata != nil })
	if err != nil {
		return found, err
	}
	found.Done = !d.DryRun && d.Prefix == "" && found.Locked == 0 && found.Archived == 0 && len(found.Failed) == 0 && found.Uploads == 0
	return found, nil
}
