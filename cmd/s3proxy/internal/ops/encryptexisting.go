package ops

import (
	"context"
	"errors"
	"fmt"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/inplace"
	"github.com/s3proxy/s3proxy/proxy/object"
)

// EncryptExisting encrypts, in place, the objects below a target that are not encrypted.
type EncryptExisting struct {
	Job
	Target
	OnlyWriter
	// Ciphertext also encrypts what another tool has encrypted already.
	Ciphertext bool
	// Legacy makes objects of format 1 of those that the older s3proxy wrote.
	Legacy bool
	// WithoutMD5 does so, too, of those whose header has no MD5, so that nothing checks their content.
	WithoutMD5 bool
}

// EncryptedExisting is its report. The JSON names are part of the interface.
type EncryptedExisting struct {
	Outcome
	*Rewritten
	// OldVersions that are not encrypted.
	OldVersions int `json:"old-versions-not-encrypted"`
	// OldLegacy are old versions that the older s3proxy wrote.
	OldLegacy  int     `json:"old-versions-legacy,omitempty"`
	Unreadable Reasons `json:"unseen"` // old versions that could not be looked at
	// Done says that no current object is left unencrypted.
	Done bool `json:"allow-plaintext-reads-can-be-switched-off"`
	// LegacyKey says that the bucket has the key of the older s3proxy.
	LegacyKey bool `json:"-"`
}

// errNoMD5 leaves an old object whose content nothing checks: whoever can write to the store can take
// the MD5 out of a header without any key, and then change the content at will.
var errNoMD5 = errors.New("the header of this object of the older s3proxy has no MD5, so that nothing tells whether its content is what was written; --legacy-without-md5 encrypts it as it is")

// errNoLegacyKey refuses a migration of what cannot be read.
var errNoLegacyKey = errors.New("the bucket has no key of the older s3proxy: give it legacy-key-file in the configuration file")

// Failures implements Report.
func (e *EncryptedExisting) Failures() (failed []error) {
	if n := len(e.Failed) + e.Locked + e.Archived; n > 0 {
		failed = append(failed, fmt.Errorf("%d objects could not be encrypted", n))
	}
	return append(failed, unseenVersions(e.Unreadable)...)
}

// choose says what is to be encrypted, and how.
func (e *EncryptExisting) choose(r *rewrite) {
	r.due = func(ctx context.Context, key string, m *envelope.Metadata) (bool, error) {
		if m != nil || e.Ciphertext {
			return m == nil, nil
		}
		err := refuseForeign(ctx, r.walker.Store, e.Bucket, key)
		if e.Legacy && errors.Is(err, errForeign{olderS3proxy}) {
			err = nil
		}
		return true, err
	}
	r.change = func(ctx context.Context, key string, n *inplace.Renewal) error {
		switch {
		case n.Old != nil && e.Legacy && n.Old.MD5 == nil && n.Old.Size > 0 && !e.WithoutMD5:
			return errNoMD5
		case n.Old != nil && e.Legacy:
			return r.renewer.EncryptOld(ctx, e.Bucket, key, n)
		case n.Old != nil && !e.Ciphertext:
			return errForeign{olderS3proxy}
		}
		return r.renewer.Encrypt(ctx, e.Bucket, key, n)
	}
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
	if e.Legacy && b.Served.Legacy == nil {
		return nil, Mistake{errNoLegacyKey}
	}
	r := newRewrite(b, e.Prefix, e.Job, e.OnlyWriter)
	e.choose(r)
	found := &EncryptedExisting{Outcome: e.outcome(e.Target), LegacyKey: b.Served.Legacy != nil, Rewritten: &Rewritten{Failed: Reasons{}}, Unreadable: Reasons{}}
	if found.Rewritten, err = r.run(ctx); err != nil {
		return found, err
	}
	if !e.DryRun {
		if err := r.again(ctx, found.Rewritten); err != nil {
			return found, err
		}
	}
	found.OldVersions, found.Unreadable, err = r.countOld(ctx, func(o *object.Inspection) bool {
		if o.Legacy {
			found.OldLegacy++
		}
		return o.Metadata == nil && !o.Legacy
	})
	if err != nil {
		return found, err
	}
	found.Done = !e.DryRun && e.Prefix == "" && found.Locked == 0 && found.Archived == 0 && len(found.Failed) == 0
	return found, nil
}
