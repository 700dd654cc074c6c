package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/ops"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// allBuckets gives every bucket that the default store lists and those that have settings for a
// store of their own, by name: a name is served from one place, the configured one. A replica is
// a bucket like others, with records of its own. It leaves out what is not encrypted, and names
// that no request reaches.
func (s *stores) allBuckets(ctx context.Context) ([]ops.Target, error) {
	names := map[string]bool{}
	listed, err := s.listedBuckets(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range listed {
		if err := state.CheckBucketName(name); err != nil {
			s.log.Warn("a bucket of the store was left out: s3proxy does not serve it", "bucket", name, "error", err)
			continue
		}
		names[name] = true
	}
	for name, set := range s.c.Buckets {
		if set.Upstream != (config.Upstream{}) {
			names[name] = true
		}
		if set.Passthrough() && names[name] {
			s.log.Info("a bucket was left out: it is configured without encryption", "bucket", name)
			delete(names, name)
		}
	}
	var all []ops.Target
	for _, name := range slices.Sorted(maps.Keys(names)) {
		all = append(all, ops.Target{Bucket: name})
	}
	return all, nil
}

// listedBuckets are those that the default store lists.
func (s *stores) listedBuckets(ctx context.Context) (names []string, err error) {
	client, err := s.client(ctx, config.Upstream{})
	if err != nil {
		return nil, err
	}
	query := url.Values{}
	for {
		var page struct {
			Names []string `xml:"Buckets>Bucket>Name"`
			Next  string   `xml:"ContinuationToken"`
		}
		err := getXML(ctx, client, s3name.Bucket{}, query, &page)
		var refused *s3err.Error
		if errors.As(err, &refused) && refused.Status == http.StatusForbidden {
			return nil, fmt.Errorf("the store does not list its buckets to s3proxy: name them, or allow s3:ListAllMyBuckets: %w", err)
		}
		if err != nil {
			return nil, fmt.Errorf("list the buckets: %w", err)
		}
		names = append(names, page.Names...)
		if page.Next == "" {
			return names, nil
		}
		if page.Next == query.Get("continuation-token") {
			return nil, fmt.Errorf("%w: the listing of buckets makes no progress", upstream.ErrStored)
		}
		query = url.Values{"continuation-token": {page.Next}}
	}
}
