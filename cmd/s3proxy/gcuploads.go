package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/s3proxy/s3proxy/proxy"
)

// gcUploads removes and tells what is left of a bucket's uploads.
func gcUploads(ctx context.Context, s *stores, bucket string, o gcOptions, out io.Writer, log *slog.Logger) error {
	store, err := s.client(ctx, s.c.Buckets[bucket].Upstream)
	if err != nil {
		return err
	}
	sweeper := proxy.Sweeper{Store: store, Place: s.c.State, Grace: o.grace, DryRun: o.dryRun, Log: log}
	found, err := sweeper.Bucket(ctx, bucket)
	if err != nil {
		err = fmt.Errorf("s3://%s: %w", bucket, err)
	} else if found.Failed > 0 {
		err = fmt.Errorf("s3://%s: %d uploads could not be looked at or removed", bucket, found.Failed)
	}
	if o.json {
		return errors.Join(err, json.NewEncoder(out).Encode(found))
	}
	verb := "removed"
	if o.dryRun {
		verb = "would be removed"
	}
	fmt.Fprintf(out, "s3://%s: state of %d uploads %s, %d live, %d gone for less than %v, %d locked, %d foreign, %d failed\n",
		bucket, found.Removed, verb, found.Live, found.Waiting, o.grace, found.Locked, found.Foreign, found.Failed)
	return err
}
