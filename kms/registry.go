package kms

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Opener makes a Key from a KMS URI of its driver's scheme. A URI names the
// resource only; secrets come from the environment or from files. An Opener
// refuses what it does not know, an unknown query parameter too.
type Opener func(ctx context.Context, uri *url.URL) (Key, error)

// Registry knows the drivers by the scheme of their URIs. It is a value that the
// program fills at its start; it is not safe for a Register beside an Open.
type Registry struct {
	openers map[string]Opener
}

// NewRegistry returns a Registry that knows no driver.
func NewRegistry() *Registry {
	return &Registry{openers: make(map[string]Opener)}
}

// Register adds a driver. A scheme that is registered already is a mistake in the
// program, and panics.
func (r *Registry) Register(scheme string, open Opener) {
	if _, ok := r.openers[scheme]; ok {
		panic("kms: driver " + scheme + " is registered twice")
	}
	r.openers[scheme] = open
}

// Open makes the Key that uri names. The error for an unknown scheme lists the
// known ones.
func (r *Registry) Open(ctx context.Context, uri string) (Key, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return nil, fmt.Errorf("KMS URI: %w", err)
	}
	known := strings.Join(slices.Sorted(maps.Keys(r.openers)), "://, ") + "://"
	if u.Scheme == "" {
		return nil, fmt.Errorf("KMS URI %q has no scheme; known are: %s", uri, known)
	}
	open, ok := r.openers[u.Scheme]
	if !ok {
		return nil, fmt.Errorf("KMS URI %q: unknown scheme %q; known are: %s", uri, u.Scheme, known)
	}
	key, err := open(ctx, u)
	if err != nil {
		return nil, fmt.Errorf("opening KMS key %s: %w", uri, err)
	}
	return key, nil
}
