package main

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/s3proxy/s3proxy/proxy"
)

var (
	etagModes   = []string{"opaque", "md5"}
	rangeChecks = []string{"end", "segments"}
	sseModes    = []string{string(proxy.SSEOwn), string(proxy.SSEStore)}
	payloads    = []string{"checked", "signed", "unsigned"}
	addressings = []string{"path", "virtual", "auto"}
)

// hasUpstreams tells whether a bucket has settings of a store of its own.
func (c *config) hasUpstreams() bool {
	for _, set := range c.buckets {
		if set.Upstream != (upstreamSettings{}) {
			return true
		}
	}
	return false
}

// validateBuckets checks the settings of buckets, with the aliases of the flag
// among them, and refuses what would have no effect.
func (c *config) validateBuckets() error {
	for _, alias := range c.BucketAlias {
		replica, origin, ok := strings.Cut(alias, "=")
		if !ok {
			return usagef("bucket-alias: %q is not of the form replica=origin", alias)
		}
		if c.buckets == nil {
			c.buckets = map[string]bucketSettings{}
		}
		set := c.buckets[replica]
		if set.Alias != "" && set.Alias != origin {
			return usagef("bucket-alias: %s is a replica of %s and of %s", replica, set.Alias, origin)
		}
		set.Alias = origin
		if origin == "" {
			return usagef("bucket-alias: %q names no origin", alias)
		}
		c.buckets[replica] = set
	}
	for _, name := range sortedKeys(c.buckets) {
		if err := c.validateBucket(name, c.buckets[name]); err != nil {
			return usagef("bucket %s: %w", name, err)
		}
	}
	return nil
}

func (c *config) validateBucket(name string, set bucketSettings) error {
	if err := proxy.CheckBucketName(name); err != nil {
		return err
	}
	if set.Alias != "" {
		if err := proxy.CheckBucketName(set.Alias); err != nil {
			return usagef("alias: %w", err)
		}
		if set.Alias == name {
			return usagef("alias: it is the bucket's own name")
		}
	}
	if set.ETag != "" && !slices.Contains(etagModes, set.ETag) {
		return usagef("etag: %q is none of %s", set.ETag, strings.Join(etagModes, ", "))
	}
	if set.RangeCheck != "" && !slices.Contains(rangeChecks, set.RangeCheck) {
		return usagef("range-check: %q is none of %s", set.RangeCheck, strings.Join(rangeChecks, ", "))
	}
	if set.SSE != "" && !slices.Contains(sseModes, set.SSE) {
		return usagef("sse: %q is none of %s", set.SSE, strings.Join(sseModes, ", "))
	}
	for _, id := range set.Floor {
		if raw, err := hex.DecodeString(id); err != nil || len(raw) != 16 || strings.ToLower(id) != id {
			return usagef("floor: %q is no id of a floor, as keys rekey prints it", id)
		}
	}
	if set.plain() && (set.Floor != nil || set.ETag != "" || set.RangeCheck != "" || set.SSE != "" || set.KMS != "" || set.KMSRead != nil || set.Alias != "" || set.AllowPlaintextReads != nil) {
		return usagef("encrypt is false, so that floor, etag, range-check, sse, kms, kms-read, alias and allow-plaintext-reads mean nothing")
	}
	if set.KMS != "" && slices.Contains(set.KMSRead, set.KMS) {
		return usagef("kms-read names the key that kms names: %s", set.KMS)
	}
	return c.validateUpstream(set.Upstream)
}

func (c *config) validateUpstream(u upstreamSettings) error {
	if u == (upstreamSettings{}) {
		return nil
	}
	if u.URL != "" {
		if _, err := c.checkUpstream(u.URL); err != nil {
			return err
		}
	} else if c.Upstream == "" {
		return usagef("upstream: the url is missing, and the embedded store has no other settings")
	}
	if u.Payload != "" && !slices.Contains(payloads, u.Payload) {
		return usagef("upstream: payload: %q is none of %s", u.Payload, strings.Join(payloads, ", "))
	}
	if u.Addressing != "" && !slices.Contains(addressings, u.Addressing) {
		return usagef("upstream: addressing: %q is none of %s", u.Addressing, strings.Join(addressings, ", "))
	}
	at := u.Credentials
	id, secret := at.AccessKeyID != "" || at.AccessKeyIDEnv != "", at.SecretFile != "" || at.SecretAccessKeyEnv != ""
	switch {
	case at.Profile != "" && (id || secret):
		return usagef("upstream: credentials: a profile, or a key: not both")
	case id != secret:
		return usagef("upstream: credentials: an access key and its secret go together: access-key-id or access-key-id-env, and secret-access-key-file or secret-access-key-env")
	case at.AccessKeyID != "" && at.AccessKeyIDEnv != "", at.SecretFile != "" && at.SecretAccessKeyEnv != "":
		return usagef("upstream: credentials: a value and the name of a variable: not both")
	}
	return nil
}

// keyURIs are those of the keys of a bucket, "" for any without settings of its own:
// its own keys, else those for all. Only the embedded store has a key by default: it is
// lost together with the data. A store that outlives the data folder, and in a container
// that is every one, needs a key that somebody has named.
func (c *config) keyURIs(bucket string) (write string, read []string, err error) {
	set := c.buckets[bucket]
	write = orElse(set.KMS, c.KMS)
	if write == "" && (c.Upstream != "" || set.Upstream.URL != "") && !set.plain() {
		return "", nil, usagef("an upstream is set but kms is not: name the key by --kms vault://MOUNT/KEY, awskms://alias/NAME or localfile:///path/keyset.json (s3proxy keys create --kms localfile:///path/keyset.json makes one)")
	}
	write = orElse(write, c.keysetURI())
	read = c.KMSRead
	if set.KMSRead != nil {
		read = set.KMSRead
	}
	return write, slices.DeleteFunc(slices.Clone(read), func(uri string) bool { return uri == write }), nil
}

// checkKeys refuses a bucket that has no key, before anything is opened or made.
func (c *config) checkKeys() error {
	for _, name := range append([]string{""}, sortedKeys(c.buckets)...) {
		if _, _, err := c.keyURIs(name); err != nil {
			return inBucket(name, err)
		}
	}
	return nil
}

// inBucket says of which bucket an error is, if of one.
func inBucket(name string, err error) error {
	if err == nil || name == "" {
		return err
	}
	return fmt.Errorf("bucket %s: %w", name, err)
}

// plain tells whether the bucket is forwarded as it is.
func (s *bucketSettings) plain() bool { return s.Encrypt != nil && !*s.Encrypt }
