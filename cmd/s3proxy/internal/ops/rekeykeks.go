package ops

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/multipart"
	"github.com/s3proxy/s3proxy/proxy/state"
)

// stolenKEKs gives the KEKs that a thief may have: those of all window records, objects, versions
// and uploads and, if a new version is to come, the current one. Objects of window 0 have no
// record, and after a rotation nothing may name the stolen KEK: then the operator must name it
// (--stolen).
func (r *rekeying) stolenKEKs(ctx context.Context) ([]string, error) {
	keks, err := recordKEKs(ctx, r.bucket.Records, r.bucket.Origin)
	if err != nil {
		return nil, err
	}
	named, err := r.objectKEKs(ctx)
	if err != nil {
		return nil, err
	}
	keks = append(keks, named...)
	if r.NewVersion || r.KeyIsNew {
		current, err := r.bucket.Keyring.NewRewrapping(ctx)
		if err != nil {
			return nil, err
		}
		keks = slices.DeleteFunc(keks, func(kek string) bool { return kek == current.KEK() })
		if r.NewVersion {
			keks = append(keks, current.KEK())
		}
	}
	return keks, nil
}

// namedStolen gives the KEKs that the operator names. Each must have the name of a version of a
// configured key: another name would refuse nothing. The version need not exist any more.
func namedStolen(ctx context.Context, buckets Buckets, bucket string, given []string) (keks []string, err error) {
	for _, name := range given {
		kek, known, err := buckets.NamedKEK(ctx, bucket, name)
		if err == nil && (!known || !strings.Contains(kek, "#")) {
			err = errors.New("no version of a key in --kms or --kms-read has this name")
		}
		if err != nil {
			return nil, fmt.Errorf("stolen %q: %w", name, err)
		}
		keks = append(keks, kek)
	}
	return keks, nil
}

// objectKEKs are the KEKs that the metadata of objects, versions and uploads names.
func (r *rekeying) objectKEKs(ctx context.Context) ([]string, error) {
	var mu sync.Mutex
	keks := map[string]bool{}
	add := func(m *envelope.Metadata) {
		if m == nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		keks[m.KEK] = true
	}
	all := inventory{
		walker: r.rewrite.walker, bucket: r.found.Bucket, rate: r.Rate, progress: unwatched{},
		upload: func(u multipart.InProgress) error { add(u.Meta); return nil },
		object: func(_ context.Context, _ Item, m *envelope.Metadata, _ bool) error { add(m); return nil },
	}
	unreadable, err := all.take(ctx)
	if err != nil {
		return nil, fmt.Errorf("find out which keys the objects name: %w", err)
	}
	for name, reason := range unreadable {
		return nil, fmt.Errorf("find out which keys the objects name: %s: %s", name, reason)
	}
	return slices.Sorted(maps.Keys(keks)), nil
}

// recordKEKs are the KEKs that wrap a bucket's window records.
func recordKEKs(ctx context.Context, records state.Records, bucket string) ([]string, error) {
	keks := map[string]bool{}
	err := eachRecordKEK(ctx, records, bucket, func(_, kek string) error { keks[kek] = true; return nil })
	return slices.Sorted(maps.Keys(keks)), err
}

// eachRecordKEK visits a bucket's window records. It skips what is not a record.
func eachRecordKEK(ctx context.Context, records state.Records, bucket string, visit func(id, kek string) error) error {
	return records.List(ctx, bucket, func(l state.ListedRecord) error {
		record, _, err := records.Read(ctx, bucket, l.ID)
		if errors.Is(err, kms.ErrNoRecord) || l.Foreign {
			return nil
		}
		if err != nil {
			return err
		}
		kek, err := kms.RecordKEK(record)
		if err != nil {
			return nil
		}
		return visit(l.ID, kek)
	})
}
