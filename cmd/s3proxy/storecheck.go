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

// sampled bounds how many window records and objects of a bucket the start
// looks at: it must not delay listening.
const sampled = 16

// sample is a window record or an object of the embedded store.
type sample struct {
	bucket, key string // of a record: of the bucket that it is for
	record      string // its id; "" for an object
}

// findEncrypted gives the name of something in the store that is encrypted, or "".
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

// checkEmbedded refuses to start when the store holds data that no configured
// key opens: serving it would fail each read, and writing more of it under
// another key would hide the loss.
func checkEmbedded(ctx context.Context, c *config.Config, s *stores) error {
	opened := false
	var damaged error // the first sample that is refused though its key is there
	err := s.eachSample(ctx, func(at sample) (bool, error) {
		refused := func(err error) error {
			return fmt.Errorf("the store in %s holds data that the configured keys cannot open (%s/%s): %w. Restore the keyset that it was encrypted under, or name its KMS by --kms-read", c.DataDir, at.bucket, at.key, err)
		}
		keyring, records, err := s.keyring(ctx, at.bucket)
		if err != nil {
			return false, err
		}
		bound := s.origin(at.bucket)
		if at.record != "" {
			record, err := records.GetRecord(ctx, at.bucket, at.record)
			if err != nil {
				return false, err
			}
			err = keyring.OpenRecord(ctx, bound, at.record, record)
			if errors.Is(err, kms.ErrNotFound) {
				return false, refused(err)
			}
			if err != nil && damaged == nil {
				damaged = refused(err)
			}
			opened = opened || err == nil
			return true, nil
		}
		object, err := object.Inspect(ctx, records.Store, at.bucket, at.key, "")
		if err != nil || object.Metadata == nil {
			return true, nil // damaged or foreign: its read will say so
		}
		dek, err := keyring.OpenKey(ctx, kms.Name{Bucket: bound, Key: at.key, Kind: object.Metadata.Kind}, object.Metadata)
		if errors.Is(err, kms.ErrNotFound) {
			return false, refused(err)
		}
		if err == nil {
			dek.Destroy()
			opened = true
		}
		return true, nil
	})
	if err == nil && damaged != nil && !opened {
		return damaged // nothing at all opens: that is no single damaged record
	}
	return err
}

// eachSample visits some window records of every bucket of the embedded store, or,
// where there is none, some objects, until visit says false. Buckets that have a
// store of their own are not here.
func (s *stores) eachSample(ctx context.Context, visit func(sample) (more bool, err error)) error {
	store := s.embedded.client
	var buckets struct {
		Names []string `xml:"Buckets>Bucket>Name"`
	}
	if err := getXML(ctx, store, s3name.Bucket{}, nil, &buckets); err != nil {
		return fmt.Errorf("look for encrypted data: %w", err)
	}
	for _, bucket := range buckets.Names {
		if s.c.Buckets[bucket].Upstream != (config.Upstream{}) {
			continue
		}
		at, err := s3name.ParseBucket(bucket)
		if err != nil { // a folder that no client reaches
			continue
		}
		stateBucket, records, err := (state.Records{Place: s.c.State}).Where(bucket)
		if err != nil {
			return err
		}
		found := false
		for _, look := range []struct {
			bucket s3name.Bucket
			prefix string
		}{{stateBucket, records}, {at, ""}} {
			if found || !slices.Contains(buckets.Names, look.bucket.String()) {
				continue
			}
			var page struct {
				Keys []string `xml:"Contents>Key"`
			}
			q := url.Values{"list-type": {"2"}, "max-keys": {fmt.Sprint(sampled)}, "prefix": {look.prefix}}
			if err := getXML(ctx, store, look.bucket, q, &page); err != nil {
				return fmt.Errorf("look for encrypted data in %s: %w", look.bucket, err)
			}
			for _, key := range page.Keys {
				found = true
				at := sample{bucket: bucket, key: key}
				if look.prefix != "" {
					at.record = strings.TrimPrefix(key, records)
				}
				if more, err := visit(at); err != nil || !more {
					return err
				}
			}
		}
	}
	return nil
}

func getXML(ctx context.Context, store *upstream.Client, bucket s3name.Bucket, q url.Values, doc any) error {
	resp, err := store.Do(ctx, &upstream.Request{Method: http.MethodGet, Bucket: bucket, Query: q})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return s3xml.Decode(resp.Body, doc)
}
