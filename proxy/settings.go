package proxy

import (
	"slices"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// Bucket says how the proxy serves a bucket.
type Bucket struct {
	// Upstream is the store that has the bucket.
	Upstream *upstream.Client
	// Keyring makes and opens the keys of its objects.
	Keyring Keyring
	// Plain forwards the bucket as it is: nothing in it is encrypted.
	Plain bool
	// ETag says which ETags clients see.
	ETag ETagMode
	// SSE says what becomes of S3's server-side encryption; "" is SSEOwn.
	SSE SSEMode
	// AllowPlaintextReads serves objects that carry no s3proxy metadata as they
	// are. A store that may inject plaintext can then forge any content.
	AllowPlaintextReads bool
	// SkipRangeCheck answers a range of an object of one PUT without having seen the object's
	// end: one request to the store less for the first range of each. Bytes of an upload that
	// was refused may then come out, where the store kept its segments.
	SkipRangeCheck bool
	// Origin is the name that keys are bound to: of the bucket that this one is a
	// replica of. Empty: its own.
	Origin string
}

// ETagMode says which ETags the clients of a bucket see.
type ETagMode string

const (
	// ETagOpaque shows the store's ETags, so that LIST costs no further request.
	ETagOpaque ETagMode = "opaque"
	// ETagMD5 shows what S3 has without encryption: the MD5 of the plaintext.
	ETagMD5 ETagMode = "md5"
)

// Credential is what an access key of a client may do.
type Credential struct {
	Secret string
	// Buckets that it may use; nil: all.
	Buckets []string
	// ReadOnly: GET and HEAD alone.
	ReadOnly bool
	// Manage: it may change settings of buckets and grant others access; without it, only
	// what is in the buckets.
	Manage bool
}

// mayUse tells whether the credential is for the bucket.
func (c *Credential) mayUse(bucket string) bool {
	return c.Buckets == nil || slices.Contains(c.Buckets, bucket)
}

// allow refuses what the client's access key is not for. An anonymous request is
// for the store to judge.
func (x *exchange) allow(bucket s3name.Bucket, write bool) error {
	if x.auth.AccessKeyID == "" {
		return nil
	}
	if x.credential.ReadOnly && write {
		return s3err.AccessDenied.WithMessage("This access key may only read.")
	}
	if bucket != (s3name.Bucket{}) && !x.credential.mayUse(bucket.String()) {
		return s3err.AccessDenied.WithMessage("This access key may not use this bucket.")
	}
	return nil
}

// mayManage refuses what only a managing access key may do. An anonymous request is for
// the store to judge.
func (x *exchange) mayManage() error {
	if x.auth.AccessKeyID == "" || x.credential.Manage {
		return nil
	}
	return s3err.AccessDenied.WithMessage("This access key may not change settings of buckets, grant access to others or bypass a retention: its entry in the credentials needs `manage: true`.")
}

// managingHeader tells whether a header of a write asks for what needs a managing access
// key: access for others than the bucket's owner, or to what is locked. Many clients
// always send one of the two ACLs that grant nobody else anything.
func managingHeader(name string, values []string) bool {
	switch {
	case name == "X-Amz-Acl":
		return slices.ContainsFunc(values, func(v string) bool { return v != "" && v != "private" && v != "bucket-owner-full-control" })
	case name == "X-Amz-Bypass-Governance-Retention":
		return slices.ContainsFunc(values, func(v string) bool { return !strings.EqualFold(v, "false") })
	}
	return strings.HasPrefix(name, "X-Amz-Grant-")
}

// writes tells whether an operation changes anything in the store.
func (op *operation) writes() bool { return op.method != "GET" && op.method != "HEAD" }
