package kms

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Opener makes a Key from a KMS URI of its driver's scheme. A URI names only the resource;
// secrets come from the environment or from files. An Opener must refuse everything that it
// does not know, including unknown query parameters.
type Opener func(ctx context.Context, uri *url.URL) (Key, error)

// Registry finds drivers by the scheme of their URIs. The program fills it at its start:
// Register must not be called concurrently with other methods.
type Registry struct {
	openers map[string]Opener
}

// NewRegistry returns a Registry without drivers.
func NewRegistry() *Registry {
	return &Registry{openers: make(map[string]Opener)}
}

// Register adds a driver. It panics if the scheme is already registered.
func (r *Registry) Register(scheme string, open Opener) {
	if _, ok := r.openers[scheme]; ok {
		panic("kms: driver " + scheme + " is registered twice")
	}
	r.openers[scheme] = open
}

// Schemes returns the schemes of all drivers, sorted.
func (r *Registry) Schemes() []string { return slices.Sorted(maps.Keys(r.openers)) }

// Open makes the Key that uri names. The error for an unknown scheme lists the known ones;
// other errors are the Opener's.
func (r *Registry) Open(ctx context.Context, uri string) (Key, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return nil, fmt.Errorf("KMS URI: %w", err)
	}
	known := strings.Join(r.Schemes(), "://, ") + "://"
	if u.Scheme == "" {
		return nil, fmt.Errorf("KMS URI %q has no scheme; the known schemes are %s", uri, known)
	}
	open, ok := r.openers[u.Scheme]
	if !ok {
		return nil, fmt.Errorf("KMS URI %q: unknown scheme %q; the known schemes are %s", uri, u.Scheme, known)
	}
	key, err := open(ctx, u)
	if err != nil {
		return nil, fmt.Errorf("opening KMS key %s: %w", uri, err)
	}
	return key, nil
}
