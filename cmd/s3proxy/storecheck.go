package main

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// sampled bounds how many window records and objects of a bucket the start
// looks at: it must not delay listening.
const sampled = 16

// findEncrypted gives the name of something in the store that is encrypted, or "".
func findEncrypted(ctx context.Context, store *upstream.Client) (string, error) {
	found := ""
	err := eachSample(ctx, store, func(bucket, key string) (bool, error) {
		if _, prefix := (proxy.Records{}).Where(bucket); !strings.HasPrefix(key, prefix) {
			object, err := proxy.Inspect(ctx, store, bucket, key)
			if err != nil || object.Metadata == nil {
				return true, err
			}
		}
		found = bucket + "/" + key
		return false, nil
	})
	return found, err
}

// checkEmbedded refuses to start when the store holds data that no configured
// key opens: serving it would fail each read, and writing more of it under
// another key would hide the loss.
func checkEmbedded(ctx context.Context, c *config, store *upstream.Client, keyring *kms.Keyring) error {
	records := proxy.Records{Store: store}
	opened := false
	var damaged error // the first sample that is refused though its key is there
	err := eachSample(ctx, store, func(bucket, key string) (bool, error) {
		refused := func(err error) error {
			return fmt.Errorf("the store in %s holds data that the configured keys cannot open (%s/%s): %w. Restore the keyset that it was encrypted under, or name its KMS by --kms-read", c.DataDir, bucket, key, err)
		}
		_, prefix := records.Where(bucket)
		if id, ok := strings.CutPrefix(key, prefix); ok {
			record, err := records.GetRecord(ctx, bucket, id)
			if err != nil {
				return false, err
			}
			err = keyring.OpenRecord(ctx, bucket, id, record)
			if errors.Is(err, kms.ErrNotFound) {
				return false, refused(err)
			}
			if err != nil && damaged == nil {
				damaged = refused(err)
			}
			opened = opened || err == nil
			return true, nil
		}
		object, err := proxy.Inspect(ctx, store, bucket, key)
		if err != nil || object.Metadata == nil {
			return true, nil // damaged or foreign: its read will say so
		}
		dek, err := keyring.OpenKey(ctx, kms.Name{Bucket: bucket, Key: key, Kind: object.Metadata.Kind}, object.Metadata)
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

// eachSample visits some window records of every bucket, or, where there is
// none, some objects, until visit says false.
func eachSample(ctx context.Context, store *upstream.Client, visit func(bucket, key string) (more bool, err error)) error {
	var buckets struct {
		Names []string `xml:"Buckets>Bucket>Name"`
	}
	if err := getXML(ctx, store, "", nil, &buckets); err != nil {
		return fmt.Errorf("look for encrypted data: %w", err)
	}
	for _, bucket := range buckets.Names {
		_, records := (proxy.Records{}).Where(bucket)
		for _, prefix := range []string{records, ""} {
			var page struct {
				Keys []string `xml:"Contents>Key"`
			}
			q := url.Values{"list-type": {"2"}, "max-keys": {fmt.Sprint(sampled)}, "prefix": {prefix}}
			if err := getXML(ctx, store, bucket, q, &page); err != nil {
				return fmt.Errorf("look for encrypted data in %s: %w", bucket, err)
			}
			for _, key := range page.Keys {
				if more, err := visit(bucket, key); err != nil || !more {
					return err
				}
			}
			if len(page.Keys) > 0 {
				break
			}
		}
	}
	return nil
}

func getXML(ctx context.Context, store *upstream.Client, bucket string, q url.Values, doc any) error {
	resp, err := store.Do(ctx, &upstream.Request{Method: http.MethodGet, Bucket: bucket, Query: q})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return xml.NewDecoder(io.LimitReader(resp.Body, 16<<20)).Decode(doc)
}
