package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/kms"
)

func (s *stores) newKeyring(ctx context.Context, write string, read []string, records kms.Records, floors kms.Floors, pins []string) (*kms.Keyring, error) {
	conf := kms.Config{
		Records: records, Floors: floors, FloorPins: pins, Window: s.c.KeyWindow, WindowObjects: s.c.KeyWindowObjects,
		CacheSize: windowCacheSize, CacheTTL: windowCacheTTL, Timeout: s.c.KMSTimeout, Log: s.log,
	}
	var err error
	if conf.Write, err = s.key(ctx, write); err != nil {
		return nil, err
	}
	for _, uri := range read {
		key, err := s.key(ctx, uri)
		if err != nil {
			return nil, err
		}
		conf.Read = append(conf.Read, s.observed(key))
	}
	conf.Write = s.observed(conf.Write)
	return kms.NewKeyring(conf)
}

// observed is key with its calls counted, audited and traced, in a process that does.
func (s *stores) observed(key kms.Key) kms.Key {
	if s.metrics != nil {
		key = s.metrics.Key(key)
	}
	return s.tracing.Key(s.audit.Key(key))
}

func (s *stores) key(ctx context.Context, uri string) (kms.Key, error) {
	if key := s.keys[uri]; key != nil {
		return key, nil
	}
	key, err := openKey(ctx, uri)
	if err == nil {
		s.keys[uri] = key
	}
	return key, err
}

// NamedKEK implements ops.Buckets. given is what a person calls a key: a version of the
// bucket's own, or a URI with or without #version, as --kms takes it or as keys status shows
// it. kek is the name that records and metadata have for it; without a version, it may be
// that of all of a key's versions. If no configured key has the name, kek is given, and
// known is false.
func (s *stores) NamedKEK(ctx context.Context, bucket, given string) (kek string, known bool, err error) {
	write, read, err := s.c.KeyURIs(bucket)
	if err != nil {
		return "", false, err
	}
	uri, version, whole := strings.Cut(given, "#")
	if !whole && !strings.Contains(given, "://") && !strings.HasSuffix(given, ":") {
		uri, version = write, given
	}
	for _, configured := range append([]string{write}, read...) {
		key, err := s.key(ctx, configured)
		if err != nil {
			return "", false, err
		}
		namer, can := key.(kms.Namer)
		switch {
		case given == key.URI():
			return given, true, nil
		case uri != configured && uri != key.URI():
			continue
		case !can:
			return key.URI() + "#" + version, true, nil
		}
		kek, err = namer.Named(ctx, version)
		return kek, true, err
	}
	return given, false, nil
}

// openKey opens the key that a URI names. It never makes a missing keyset.
func openKey(ctx context.Context, uri string) (kms.Key, error) {
	key, err := drivers().Open(ctx, uri)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w\nTo make it: s3proxy keys create --kms %s", err, uri)
	}
	return key, err
}

// Bounds on the unwrapped window keys that are kept for reading. Three busy replicas make
// about 26,000 windows a year in a bucket.
const (
	windowCacheSize = 4096
	windowCacheTTL  = time.Hour
)
