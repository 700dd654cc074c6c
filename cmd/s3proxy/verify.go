package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/state"
)

// verifyOptions are the flags of keys verify.
type verifyOptions struct {
	versions, json bool
	sample         float64
	pace           pace
}

// verified is what keys verify tells of a place; the JSON names are part of the interface.
type verified struct {
	Bucket  string            `json:"bucket"`
	Prefix  string            `json:"prefix"`
	Objects int               `json:"objects"` // that were read
	Bytes   int64             `json:"bytes"`   // of plaintext
	Plain   int               `json:"not-encrypted"`
	Records int               `json:"records"`
	Bad     map[string]string `json:"bad"` // reason by object or record

	mu sync.Mutex
}

func verifyPlace(ctx context.Context, s *stores, at place, o verifyOptions, errOut io.Writer) (*verified, error) {
	b, err := s.bucket(ctx, at.bucket)
	if err != nil {
		return nil, err
	}
	if b.Plain {
		return nil, errors.New("the bucket is configured without encryption")
	}
	found := &verified{Bucket: at.bucket, Prefix: at.prefix, Bad: map[string]string{}}
	if at.prefix == "" {
		if err := found.records(ctx, s, at.bucket); err != nil {
			return found, err
		}
	}
	walker := proxy.Walker{Store: b.Upstream, Place: s.c.State}
	list := walker.Objects
	if o.versions {
		list = walker.Versions
	}
	objects := walk{pace: o.pace, errOut: errOut, list: func(ctx context.Context, visit func(proxy.Listed) error) error {
		return list(ctx, at.bucket, at.prefix, func(l proxy.Listed) error {
			if o.sample < 1 && rand.Float64() >= o.sample {
				return nil
			}
			return visit(l)
		})
	}}
	return found, objects.each(ctx, func(ctx context.Context, l proxy.Listed) error { return found.object(ctx, b, l) })
}

// maxReads bounds how often an object that does not authenticate is read: some stores
// mix two states of an object that is overwritten meanwhile.
const maxReads = 3

func (v *verified) object(ctx context.Context, b object.Settings, l proxy.Listed) error {
	var size int64
	var err error
	for try := range maxReads {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(try) * 100 * time.Millisecond):
		}
		size, err = readThrough(ctx, b, v.Bucket, l)
		if err == nil || errors.Is(err, s3err.NoSuchKey) || errors.Is(err, s3err.NoSuchVersion) || errors.Is(err, envelope.ErrNotEncrypted) {
			break
		}
	}
	gone, err := deletedSince(l, err)
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case gone:
		return nil
	case errors.Is(err, kms.ErrUnavailable): // so it would be for all others
		return fmt.Errorf("%s: %w", listedName(l), err)
	case errors.Is(err, envelope.ErrNotEncrypted):
		v.Plain++
		if b.AllowPlaintextReads {
			return nil
		}
	}
	v.Objects++
	v.Bytes += size
	if err != nil {
		v.Bad[listedName(l)] = err.Error()
	}
	return nil
}

// readThrough authenticates an object and drops its bytes.
func readThrough(ctx context.Context, b object.Settings, bucket string, l proxy.Listed) (int64, error) {
	object, err := object.OpenStored(ctx, b, bucket, l.Key, l.Version)
	if err != nil {
		return 0, err
	}
	n, err := object.WriteTo(io.Discard)
	if err == nil && n != object.Size {
		err = fmt.Errorf("%d bytes of %d", n, object.Size)
	}
	return n, errors.Join(err, object.Close())
}

// records opens all window records of a bucket.
func (v *verified) records(ctx context.Context, s *stores, bucket string) error {
	ring, records, err := s.keyring(ctx, bucket)
	if err != nil {
		return err
	}
	origin := cmp.Or(s.c.Buckets[bucket].Alias, bucket)
	return records.List(ctx, origin, func(l state.ListedRecord) error {
		record, err := records.GetRecord(ctx, origin, l.ID)
		if err == nil {
			err = ring.OpenRecord(ctx, origin, l.ID, record)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, kms.ErrUnavailable):
			return err
		case errors.Is(err, kms.ErrNoRecord): // removed since
			return nil
		case err != nil:
			v.Bad["window record "+l.ID] = err.Error()
		}
		v.Records++
		return nil
	})
}
