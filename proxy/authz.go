package proxy

import (
	"slices"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
)

// Credential is what an access key of a client may do.
type Credential struct {
	// Secret is "" for a client that cannot sign.
	Secret string
	// Buckets that it may use; nil: all.
	Buckets []string
	// ReadOnly allows only GET and HEAD.
	ReadOnly bool
	// Manage allows changing the settings of buckets and granting access to others. Without
	// it the key may only read and write what is in the buckets.
	Manage bool
}

// mayUse tells whether the credential is for the bucket.
func (c *Credential) mayUse(bucket string) bool {
	return c.Buckets == nil || slices.Contains(c.Buckets, bucket)
}

// authorize refuses what the client may not do, according to x.auth.
func (x *exchange) authorize() error {
	if err := x.authorized(); err != nil {
		return err
	}
	if x.op != nil {
		x.proxy.running.add(x)
	}
	return nil
}

func (x *exchange) authorized() error {
	if x.op != nil && x.op.preflights {
		return x.admit()
	}
	if x.auth.AccessKeyID == "" && !x.proxy.cfg.AnonymousToStore {
		return s3err.AccessDenied
	}
	credential, known := x.proxy.cfg.Credential(x.auth.AccessKeyID)
	if !known && x.auth.AccessKeyID != "" { // taken away since its signature was verified
		return s3err.InvalidAccessKeyId.With(s3err.Field{Name: "AWSAccessKeyId", Value: x.auth.AccessKeyID})
	}
	x.credential = credential
	if err := x.admit(); err != nil {
		return err
	}
	if err := x.allow(x.bucket, x.op == nil || x.op.writes()); err != nil || x.op == nil || !x.op.manages {
		return err
	}
	return x.mayManage()
}

// allow refuses a bucket, or a write, that the client's access key does not cover. The store
// judges anonymous requests.
func (x *clientRequest) allow(bucket s3name.Bucket, write bool) error {
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

// mayManage refuses what only a managing access key may do. The store judges anonymous
// requests.
func (x *clientRequest) mayManage() error {
	if x.auth.AccessKeyID == "" || x.credential.Manage {
		return nil
	}
	return s3err.AccessDenied.WithMessage("This access key may not change settings of buckets, grant access to others or bypass a retention: its entry in the credentials needs `manage: true`.")
}

// managingHeader tells whether a header of a write needs a managing access key: because it
// gives access to others than the bucket's owner, or to locked objects. The two ACLs that grant
// nothing to anybody else do not: many clients always send one of them.
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

// admit lets the request in, or refuses it because of what its client asks for besides.
func (x *exchange) admit() (err error) {
	if x.proxy.cfg.Admit != nil {
		x.admitted, err = x.proxy.cfg.Admit(x.auth.AccessKeyID)
		x.throttled = err != nil
	}
	return err
}
