package config

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/state"
)

var (
	etagModes   = []string{"opaque", "md5"}
	rangeChecks = []string{"end", "segments"}
	sseModes    = []string{string(object.SSEOwn), string(object.SSEStore)}
	corsModes   = []string{string(object.CORSOwn), string(object.CORSStore)}
	payloads    = []string{"checked", "signed", payloadUnsigned}
	signatures  = []string{"v4", signatureV2}
	addressings = []string{"path", "virtual", "auto"}
)

// Version 2 of signatures has no chunks: bodies can only be sent unsigned.
const (
	signatureV2     = "v2"
	payloadUnsigned = "unsigned"
)

// hasUpstreams tells whether any bucket has a store of its own.
func (c *Config) hasUpstreams() bool {
	for _, set := range c.Buckets {
		if set.Upstream != (Upstream{}) {
			return true
		}
	}
	return false
}

// validateBuckets checks the settings of buckets, the aliases of the flag included, and
// refuses what would have no effect.
func (c *Config) validateBuckets() error {
	for _, alias := range c.BucketAlias {
		replica, origin, ok := strings.Cut(alias, "=")
		if !ok {
			return Usagef("bucket-alias: %q is not of the form replica=origin", alias)
		}
		if c.Buckets == nil {
			c.Buckets = map[string]Bucket{}
		}
		set := c.Buckets[replica]
		if set.Alias != "" && set.Alias != origin {
			return Usagef("bucket-alias: %s is configured as a replica of both %s and %s", replica, set.Alias, origin)
		}
		set.Alias = origin
		if origin == "" {
			return Usagef("bucket-alias: %q names no origin", alias)
		}
		c.Buckets[replica] = set
	}
	for _, name := range slices.Sorted(maps.Keys(c.Buckets)) {
		if err := c.validateBucket(name, c.Buckets[name]); err != nil {
			return Usagef("bucket %s: %w", name, err)
		}
	}
	return nil
}

func (c *Config) validateBucket(name string, set Bucket) error {
	if err := state.CheckBucketName(name); err != nil {
		return err
	}
	if set.Alias != "" {
		if err := state.CheckBucketName(set.Alias); err != nil {
			return Usagef("alias: %w", err)
		}
		if set.Alias == name {
			return Usagef("alias: this is the bucket's own name")
		}
	}
	for _, choice := range []struct {
		name, value string
		of          []string
	}{
		{"etag", set.ETag, etagModes},
		{"range-check", set.RangeCheck, rangeChecks},
		{"sse", set.SSE, sseModes},
		{"cors", set.CORS, corsModes},
	} {
		if choice.value != "" && !slices.Contains(choice.of, choice.value) {
			return Usagef("%s: %q is not one of %s", choice.name, choice.value, strings.Join(choice.of, ", "))
		}
	}
	for _, id := range set.Floor {
		if raw, err := hex.DecodeString(id); err != nil || len(raw) != 16 || strings.ToLower(id) != id {
			return Usagef("floor: %q is not the id of a floor, as keys rekey prints it", id)
		}
	}
	if set.legacyKeys() > 1 {
		return Usagef("give one of legacy-key, legacy-key-file and legacy-key-env")
	}
	if set.Passthrough() && (set.legacyKeys() > 0 || set.Floor != nil || set.ETag != "" || set.RangeCheck != "" || set.SSE != "" || set.CORS != "" || set.KMS != "" || set.KMSRead != nil || set.Alias != "" || set.AllowPlaintextReads != nil) {
		return Usagef("encrypt is false, so floor, etag, range-check, sse, cors, kms, kms-read, alias, allow-plaintext-reads and legacy-key have no effect: remove them")
	}
	if set.KMS != "" && slices.Contains(set.KMSRead, set.KMS) {
		return Usagef("kms-read names the same key as kms: %s", set.KMS)
	}
	return c.validateUpstream(set.Upstream)
}

func (c *Config) validateUpstream(u Upstream) error {
	if u == (Upstream{}) {
		return nil
	}
	if u.URL != "" {
		if _, err := c.checkUpstream(u.URL); err != nil {
			return err
		}
	} else if c.Upstream == "" {
		return Usagef("upstream: the url is missing, and the embedded store has no other settings")
	}
	if u.Payload != "" && !slices.Contains(payloads, u.Payload) {
		return Usagef("upstream: payload: %q is not one of %s", u.Payload, strings.Join(payloads, ", "))
	}
	if u.Signature != "" && !slices.Contains(signatures, u.Signature) {
		return Usagef("upstream: signature: %q is not one of %s", u.Signature, strings.Join(signatures, ", "))
	}
	if u.Payload != "" && u.Payload != payloadUnsigned && cmp.Or(u.Signature, c.UpstreamSignature) == signatureV2 {
		return Usagef("upstream: payload is %s, but signatures of version 2 know unsigned bodies alone: remove it", u.Payload)
	}
	if u.Addressing != "" && !slices.Contains(addressings, u.Addressing) {
		return Usagef("upstream: addressing: %q is not one of %s", u.Addressing, strings.Join(addressings, ", "))
	}
	for name, path := range map[string]string{"ca": u.CA, "cert": u.Cert, "key": u.Key} {
		if path != "" && !filepath.IsAbs(path) {
			return Usagef("upstream: %s: %s is not an absolute path", name, path)
		}
	}
	if err := checkTLS("upstream: ", u.CA, u.Cert, u.Key, u.Insecure); err != nil {
		return err
	}
	return u.Credentials.check()
}

// check refuses contradictions.
func (u *UpstreamCredentials) check() error {
	id, secret := u.AccessKeyID != "" || u.AccessKeyIDEnv != "", u.SecretFile != "" || u.SecretAccessKeyEnv != ""
	switch {
	case u.Profile != "" && (id || secret):
		return Usagef("upstream: credentials: name a profile or a key, not both")
	case id != secret:
		return Usagef("upstream: credentials: an access key and its secret go together: access-key-id or access-key-id-env, and secret-access-key-file or secret-access-key-env")
	case u.AccessKeyID != "" && u.AccessKeyIDEnv != "", u.SecretFile != "" && u.SecretAccessKeyEnv != "":
		return Usagef("upstream: credentials: give a value or the name of a variable, not both")
	}
	return nil
}

// UpstreamOf fills in what a bucket's own store leaves out: it is the default store's. That a
// certificate need not be verified is said of one store, and not of others, and so are credentials.
func (c *Config) UpstreamOf(set Upstream) Upstream {
	if set.URL == "" && set.CA == "" {
		set.Insecure = set.Insecure || c.UpstreamInsecure
	}
	if !set.Insecure {
		set.CA = cmp.Or(set.CA, c.UpstreamCA)
	}
	if set.Cert == "" {
		set.Cert, set.Key = c.UpstreamCert, c.UpstreamKey
	}
	if set.URL == "" && set.Credentials == (UpstreamCredentials{}) {
		set.Credentials = UpstreamCredentials{AccessKeyID: c.UpstreamAccessKeyID, SecretFile: c.UpstreamSecretFile}
	}
	set.URL, set.Region, set.Payload = cmp.Or(set.URL, c.Upstream), cmp.Or(set.Region, c.UpstreamRegion), cmp.Or(set.Payload, c.UpstreamPayload)
	set.Addressing, set.Signature = cmp.Or(set.Addressing, c.UpstreamAddressing), cmp.Or(set.Signature, c.UpstreamSignature)
	if set.Signature == signatureV2 {
		set.Payload = payloadUnsigned
	}
	return set
}

// KeyURIs gives the URIs of the key that wraps a bucket's new keys and of those that may
// only open: the bucket's own, else those for all buckets. bucket is "" for any bucket
// without settings of its own. The error is a [UsageError].
//
// Only the embedded store has a key by default: it is lost together with the data. Every
// other store outlives the data folder, in a container at least, and needs a key that
// somebody has named.
func (c *Config) KeyURIs(bucket string) (write string, read []string, err error) {
	set := c.Buckets[bucket]
	write = cmp.Or(set.KMS, c.KMS)
	if write == "" && (c.Upstream != "" || set.Upstream.URL != "") && !set.Passthrough() {
		if c.UpstreamFrom != "" {
			return "", nil, Usagef("%s names the store %s, but kms is not set: name the key by --kms vault://MOUNT/KEY, awskms://alias/NAME or localfile:///path/keyset.json, or stay with the embedded store by --upstream ''", c.UpstreamFrom, c.Upstream)
		}
		return "", nil, Usagef("an upstream is set but kms is not: name the key by --kms vault://MOUNT/KEY, awskms://alias/NAME or localfile:///path/keyset.json (s3proxy keys create --kms localfile:///path/keyset.json makes one)")
	}
	if write == "" {
		if err := c.NeedDataDir(); err != nil {
			return "", nil, err
		}
		write = c.DefaultKMS()
	}
	read = c.KMSRead
	if set.KMSRead != nil {
		read = set.KMSRead
	}
	return write, slices.DeleteFunc(slices.Clone(read), func(uri string) bool { return uri == write }), nil
}

// CheckKeys refuses a bucket without a key before anything is opened or made.
func (c *Config) CheckKeys() error {
	for _, name := range append([]string{""}, slices.Sorted(maps.Keys(c.Buckets))...) {
		if _, _, err := c.KeyURIs(name); err != nil {
			return InBucket(name, err)
		}
	}
	return nil
}

// InBucket adds the bucket's name to an error. It leaves the error as it is for the name "".
func InBucket(name string, err error) error {
	if err == nil || name == "" {
		return err
	}
	return fmt.Errorf("bucket %s: %w", name, err)
}

// Passthrough tells whether the bucket's objects are forwarded as they are, unencrypted.
func (s *Bucket) Passthrough() bool { return s.Encrypt != nil && !*s.Encrypt }
