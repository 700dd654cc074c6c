package state

import (
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// Place is where the proxy keeps its state objects: window records, and keys and parts of multipart
// uploads.
type Place struct {
	// Bucket has the state objects of all buckets of a store; empty: each bucket has its own.
	Bucket s3name.Bucket
	// Prefix precedes ".s3proxy/"; it is empty, or ends in "/".
	Prefix string
}

// NewPlace checks bucket and prefix. A prefix that does not end in "/" gets one. It refuses
// prefixes that a store might normalize to others: with `//`, `.`, `..` or a leading `/`.
func NewPlace(bucket, prefix string) (Place, error) {
	place := Place{}
	if bucket != "" {
		var err error
		if place.Bucket, err = ParseBucket(bucket); err != nil {
			return Place{}, err
		}
	}
	if prefix == "" {
		return place, nil
	}
	prefix = strings.TrimSuffix(prefix, "/") + "/"
	if len(prefix) > maxStatePrefix {
		return Place{}, fmt.Errorf("the prefix has %d bytes, more than %d", len(prefix), maxStatePrefix)
	}
	if strings.HasPrefix(prefix, "/") || path.Clean("/"+prefix)+"/" != "/"+prefix || strings.Contains(prefix, StateFolder) ||
		!utf8.ValidString(prefix) || strings.ContainsFunc(prefix, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }) {
		return Place{}, fmt.Errorf(`%q is no prefix such as "team/": parts of it are empty, ".", "..", of s3proxy's own name, or hold a backslash or control character`, prefix)
	}
	place.Prefix = prefix
	return place, nil
}

// maxStatePrefix leaves room for the names of state objects within the 1024 bytes of a key: a
// bucket's name, an upload's hash and a part record need about 400.
const maxStatePrefix = 256

// CheckBucketName refuses what cannot be a bucket's name, such as a pattern.
func CheckBucketName(name string) error {
	_, err := ParseBucket(name)
	return err
}

func ParseBucket(name string) (s3name.Bucket, error) {
	b, err := s3name.ParseBucket(name)
	if err != nil {
		return b, fmt.Errorf("%q is %w (names are exact, patterns are not supported)", name, err)
	}
	return b, nil
}

// StateFolder begins the keys of state objects, after the prefix.
const StateFolder = ".s3proxy/"

// Root begins the keys of state objects in every bucket; clients never see one.
func (s Place) Root() string { return s.Prefix + StateFolder }

// Past sorts after every state object and before anything else that may follow.
func (s Place) Past() string { return s.Root() + "~" }

// Of returns the bucket that holds the state objects of bucket, and the prefix of their keys.
func (s Place) Of(bucket s3name.Bucket) (stateBucket s3name.Bucket, prefix string) {
	if s.Bucket == (s3name.Bucket{}) {
		return bucket, s.Root()
	}
	return s.Bucket, s.Root() + bucket.String() + "/"
}

// Owns reports whether a key names a state object, under any spelling that some store normalizes to
// one (versitygw: `a//b` is `a/b`).
func (s Place) Owns(key string) bool { return s3name.Below(key, s.Root()) }

// ClientKey parses a key that a client names elsewhere than in the path.
func (s Place) ClientKey(text string) (s3name.Key, error) {
	key, err := s3name.ParseKey(text)
	if err != nil {
		return key, err
	}
	return key, s.RefuseOwn(key)
}

func (s Place) RefuseOwn(key s3name.Key) error {
	if s.Owns(key.String()) {
		return s3err.AccessDenied.WithMessage("Keys that begin with %s belong to s3proxy.", s.Root())
	}
	return nil
}

// OwnKey parses the key of a state object, which may come from a store's listing.
func (s Place) OwnKey(text string) (s3name.Key, error) {
	key, err := s3name.ParseKey(text)
	if err == nil && (!strings.HasPrefix(text, s.Root()) || key.Folds()) {
		err = s3name.ErrKey
	}
	if err != nil {
		return s3name.Key{}, fmt.Errorf("%w: a key among the proxy's own objects: %v", upstream.ErrStored, err)
	}
	return key, nil
}
