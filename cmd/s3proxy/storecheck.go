package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// sampled bounds how many window records and objects of a bucket the start looks at, since
// it must not delay listening.
const sampled = 16

// sample is a window record or an object of the embedded store.
type sample struct {
	bucket, key string // a record's bucket is the one that it is for
	record      string // its id; "" for an object
}

// findEncrypted gives the name of something encrypted in the store, or "".
func findEncrypted(ctx context.Context, s *stores) (string, error) {
	found := ""
	err := s.eachSample(ctx, func(at sample) (bool, error) {
		if at.record == "" {
			object, err := object.Inspect(ctx, s.embedded.client, at.bucket, at.key, "")
			if err != nil || object.Metadata == nil {
				return true, err
			}
		}
		found = at.bucket + "/" + at.key
		return false, nil
	})
	return found, err
}

// checkEmbedded refuses to start if the store holds data that no configured key opens: every
// read would fail, and writing more data under another key would hide the loss.
func checkEmbedded(ctx context.Context, c *config.Config, s *stores) error {
	opened := false
	var damaged error // the first record that is refused although its key is there
	err := s.eachSample(ctx, func(at sample) (bool, error) {
		open := s.openObject // a damaged one says so when it is read
		if at.record != "" {
			open = s.openRecord
		}
		reason, err := open(ctx, at)
		if err != nil {
			return false, err
		}
		if reason == nil {
			opened = true
			return true, nil
		}
		refused := fmt.Errorf("the store in %s holds data that the configured keys cannot open (%s/%s): %w. Restore the keyset that it was encrypted under, or name its KMS with --kms-read", c.DataDir, at.bucket, at.key, reason)
		if errors.Is(reason, kms.ErrNotFound) {
			return false, refused
		}
		if damaged == nil && at.record != "" {
			damaged = refused
		}
		return true, nil
	})
	if err == nil && damaged != nil && !opened {
		return damaged // nothing at all opens: this is more than one damaged record
	}
	return err
}

// openRecord gives the reason why a window record does not open, nil if it does. The error
// says why this cannot be found out.
func (s *stores) openRecord(ctx context.Context, at sample) (reason, err error) {
	keyring, records, err := s.keyring(ctx, at.bucket)
	if err != nil {
		return nil, err
	}
	record, err := records.GetRecord(ctx, at.bucket, at.record)
	if err != nil {
		return nil, err
	}
	return keyring.OpenRecord(ctx, s.origin(at.bucket), at.record, record), nil
}

var errNotOurs = errors.New("damaged, or not encrypted")

// openObject is openRecord for an object's key.
func (s *stores) openObject(ctx context.Context, at sample) (reason, err error) {
	keyring, records, err := s.keyring(ctx, at.bucket)
	if err != nil {
		return nil, err
	}
	object, err := object.Inspect(ctx, records.Store, at.bucket, at.key, "")
	if err != nil || object.Metadata == nil {
		return errNotOurs, nil
	}
	dek, reason := keyring.OpenKey(ctx, kms.Name{Bucket: s.origin(at.bucket), Key: at.key, Kind: object.Metadata.Kind}, object.Metadata)
	if reason == nil {
		dek.Destroy()
	}
	return reason, nil
}

// eachSample visits some window records of every bucket of the embedded store or, if there
// are none, some objects, until visit gives false. It skips buckets with a store of their
// own.
func (s *stores) eachSample(ctx context.Context, visit func(sample) (more bool, err error)) error {
	var buckets struct {
		Names []string `xml:"Buckets>Bucket>Name"`
	}
	if err := getXML(ctx, s.embedded.client, s3name.Bucket{}, nil, &buckets); err != nil {
		return fmt.Errorf("look for encrypted data: %w", err)
	}
	for _, bucket := range buckets.Names {
		if s.c.Buckets[bucket].Upstream != (config.Upstream{}) {
			continue
		}
		samples, err := s.samples(ctx, bucket, buckets.Names)
		if err != nil {
			return err
		}
		for _, at := range samples {
			if more, err := visit(at); err != nil || !more {
				return err
			}
		}
	}
	return nil
}

// samples gives the samples of one bucket. all are the buckets of the store.
func (s *stores) samples(ctx context.Context, bucket string, all []string) (found []sample, err error) {
	at, err := s3name.ParseBucket(bucket)
	if err != nil {
		return nil, nil // a folder that no client can reach
	}
	stateBucket, records, err := (state.Records{Place: s.c.State}).Where(bucket)
	if err != nil {
		return nil, err
	}
	for _, look := range []struct {
		bucket s3name.Bucket
		prefix string
	}{{stateBucket, records}, {at, ""}} {
		if found != nil || !slices.Contains(all, look.bucket.String()) {
			continue
		}
		var page struct {
			Keys []string `xml:"Contents>Key"`
		}
		q := url.Values{"list-type": {"2"}, "max-keys": {fmt.Sprint(sampled)}, "prefix": {look.prefix}}
		if err := getXML(ctx, s.embedded.client, look.bucket, q, &page); err != nil {
			return nil, fmt.Errorf("look for encrypted data in %s: %w", look.bucket, err)
		}
		for _, key := range page.Keys {
			one := sample{bucket: bucket, key: key}
			if look.prefix != "" {
				one.record = strings.TrimPrefix(key, records)
			}
			found = append(found, one)
		}
	}
	return found, nil
}

func getXML(ctx context.Context, store *upstream.Client, bucket s3name.Bucket, q url.Values, doc any) error {
	resp, err := store.Do(ctx, &upstream.Request{Method: http.MethodGet, Bucket: bucket, Query: q})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return s3xml.Decode(resp.Body, doc)
}
