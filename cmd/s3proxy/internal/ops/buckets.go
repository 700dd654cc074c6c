package ops

import (
	"context"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/inplace"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/state"
)

// Buckets opens the stores and keys of the buckets that a command is called with, as the
// configuration names them.
type Buckets interface {
	// Open gives a bucket with its keys. It makes no key.
	Open(ctx context.Context, bucket string) (*Bucket, error)
	// Records says where a bucket's window records are, and which name they are bound to. It
	// does not need a key.
	Records(ctx context.Context, bucket string) (records state.Records, origin string, err error)
	// WriteKey gives the key that wraps the bucket's new ones, and the URI that names it in
	// the configuration.
	WriteKey(ctx context.Context, bucket string) (key kms.Key, uri string, err error)
	// NamedKEK gives the name that records and metadata have for a key, or a version of one,
	// that a person names. If no configured key of the bucket has the name, kek is name, and
	// known is false.
	NamedKEK(ctx context.Context, bucket, name string) (kek string, known bool, err error)
}

// Bucket is a bucket with its keys.
type Bucket struct {
	Name string
	// Origin is the name that its keys are bound to: its own, or that of the bucket of which
	// it is a replica.
	Origin string
	// Served is how the proxy serves it.
	Served  object.Settings
	Keyring *kms.Keyring
	Records state.Records
}

func (b *Bucket) walker() walker { return walkerOf(b.Records) }

func (b *Bucket) renewer(onlyWriter bool) *inplace.Renewer {
	r := inplace.NewRenewer(b.Served, b.Records.Place)
	r.OnlyWriter = onlyWriter
	return r
}

// walkerOf visits what is in the store of the records.
func walkerOf(r state.Records) walker { return walker{Store: r.Store, Place: r.Place} }

// reach fails with the store's reason if the store does not let us list the bucket.
func reach(ctx context.Context, buckets Buckets, bucket string) error {
	records, _, err := buckets.Records(ctx, bucket)
	if err != nil {
		return err
	}
	return walkerOf(records).Reach(ctx, bucket)
}
