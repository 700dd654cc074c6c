package ops

import (
	"context"
	"fmt"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/inplace"
)

// EncryptExisting encrypts, in place, the objects below a target that are not encrypted.
type EncryptExisting struct {
	Job
	Target
	OnlyWriter
	// Ciphertext also encrypts what another tool has encrypted already.
	Ciphertext bool
}

// EncryptedExisting is its report. The JSON names are part of the interface.
type EncryptedExisting struct {
	Outcome
	*Rewritten
	// OldVersions that are not encrypted.
	OldVersions int     `json:"old-versions-not-encrypted"`
	Unreadable  Reasons `json:"unseen"` // old versions that could not be looked at
	// Done says that no current object is left unencrypted.
	Done bool `json:"allow-plaintext-reads-can-be-switched-off"`
}

// Failures implements Report.
func (e *EncryptedExisting) Failures() (failed []error) {
	if n := len(e.Failed) + e.Locked + e.Archived; n > 0 {
		failed = append(failed, fmt.Errorf("%d objects could not be encrypted", n))
	}
	return append(failed, unseenVersions(e.Unreadable)...)
}

// Run implements Plan.
func (e *EncryptExisting) Run(ctx context.Context) (*EncryptedExisting, error) {
	b, err := e.Buckets.Open(ctx, e.Bucket)
	if err != nil {
		return nil, err
	}
	if b.Served.Passthrough {
		return nil, fmt.Errorf("%w: change that first, and restart serve", errPassthrough)
	}
	if !b.Served.AllowPlaintextReads && !e.DryRun {
		e.Log.Warn("allow-plaintext-reads is not set for the bucket: a proxy with these settings does not let its clients read what is not encrypted yet", "bucket", e.Bucket)
	}
	r := newRewrite(b, e.Prefix, e.Job, e.OnlyWriter)
	r.due = func(ctx context.Context, key string, m *envelope.Metadata) (bool, error) {
		if m != nil || e.Ciphertext {
			return m == nil, nil
		}
		return true, refuseForeign(ctx, r.walker.Store, e.Bucket, key)
	}
	r.change = func(ctx context.Context, key string, n *inplace.Renewal) error {
		return r.renewer.Encrypt(ctx, e.Bucket, key, n)
	}
	found := &EncryptedExisting{Outcome: e.outcome(e.Target), Rewritten: &Rewritten{Failed: Reasons{}}, Unreadable: Reasons{}}
	if found.Rewritten, err = r.run(ctx); err != nil {
		return found, err
	}
	if !e.DryRun {
		if err := r.again(ctx, found.Rewritten); err != nil {
			return found, err
		}
	}
	found.OldVersions, found.Unreadable, err = r.countOld(ctx, func(m *envelope.Metadata) bool { return m == nil })
	if err != nil {
		return found, err
	}
	found.Done = !e.DryRun && e.Prefix == "" && found.Locked == 0 && found.Archived == 0 && len(found.Failed) == 0
	return found, nil
}
