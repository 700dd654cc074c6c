package object

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy/legacy"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// Settings says how the proxy serves a bucket.
type Settings struct {
	// Upstream is the store that holds the bucket.
	Upstream *upstream.Client
	// Keyring makes and opens the keys of its objects.
	Keyring Keyring
	// Passthrough forwards the bucket unchanged: nothing in it is encrypted.
	Passthrough bool
	// ETag says which ETags clients see.
	ETag ETagMode
	// SSE says what happens to S3's server-side encryption; "" is SSEOwn.
	SSE SSEMode
	// CORS says who answers web pages of other sites; "" is CORSOwn.
	CORS CORSMode
	// AllowPlaintextReads serves objects without s3proxy metadata unchanged. A store that can
	// inject plaintext can then forge any content.
	AllowPlaintextReads bool
	// Legacy are the keys of old objects (package legacy), which nothing authenticates. If it is
	// nil, old objects are refused.
	Legacy *legacy.Keys
	// SkipRangeCheck answers a range of an object written with one PUT without checking the
	// object's end, which saves a request to the store for the first range of each object. Then
	// bytes of a refused upload may come out, if the store kept its segments.
	SkipRangeCheck bool
	// Origin is the bucket name that keys are bound to, if this bucket is a replica of another. If
	// it is empty, they are bound to the bucket's own name.
	Origin string
	// Limits are for writing objects again; zero values mean the defaults.
	Limits Limits
}

// Limits say how stored objects are written again; sizes are in bytes. Only tests set them.
type Limits struct {
	// CopyObject is the size of the largest object that the store's CopyObject takes. Larger ones
	// are copied in parts.
	CopyObject int64
	// CopyPart is how much one UploadPartCopy moves if the object's own parts are not known.
	CopyPart int64
	// Buffer is the size of the largest object that is read whole before a write in place begins.
	// Larger ones stream.
	Buffer int64
	// Stall is how long a streamed body may make no progress.
	Stall time.Duration
}

// orDefault fills in S3's limit, if it has one (5 GiB for a CopyObject,
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html), or else ours.
func (l Limits) orDefault() Limits {
	return Limits{
		CopyObject: cmp.Or(l.CopyObject, 5<<30), CopyPart: cmp.Or(l.CopyPart, 1<<30),
		Buffer: cmp.Or(l.Buffer, 8<<20), Stall: cmp.Or(l.Stall, 10*time.Second),
	}
}

// ETagMode says which ETags the clients of a bucket see.
type ETagMode string

const (
	// ETagOpaque shows the store's ETags, so that LIST needs no further requests.
	ETagOpaque ETagMode = "opaque"
	// ETagMD5 shows the ETags that S3 has without encryption: the MD5 of the plaintext.
	ETagMD5 ETagMode = "md5"
)

// Keyring makes and opens the data keys of objects; *kms.Keyring implements it.
type Keyring interface {
	NewKey(ctx context.Context, n kms.Name) (*envelope.DEK, *envelope.Metadata, error)
	WrapKey(ctx context.Context, n kms.Name, dek *envelope.DEK) (*envelope.Metadata, error)
	OpenKey(ctx context.Context, n kms.Name, m *envelope.Metadata) (*envelope.DEK, error)
	// IsCurrent reports whether a key is under the bucket's floor (kms.Floors).
	IsCurrent(ctx context.Context, bucket string, dek *envelope.DEK) (bool, error)
	ForgetBucket(bucket string)
}

// SSEMode says what happens to S3's server-side encryption, SSE-S3 and SSE-KMS, in an encrypted
// bucket.
type SSEMode string

// SSEOwn, the default, treats it as satisfied by the proxy's own encryption: what a client asks for
// is checked and answered as in S3, and the store never sees it.
const SSEOwn SSEMode = "own"

// SSEStore passes it on: the store encrypts once more, underneath.
const SSEStore SSEMode = "store"

// CORSMode says whose CORS rules apply to answers.
type CORSMode string

const (
	// CORSOwn, the default, keeps the rules of PutBucketCors in the proxy, sealed, and answers by
	// them alone, on any store and whatever headers the store sends.
	CORSOwn CORSMode = "own"
	// CORSStore leaves rules, preflights and headers to the store.
	CORSStore CORSMode = "store"
)

// ComparedHere reports whether, in this ETag mode, the proxy has to compare one of these
// conditions.
func (m ETagMode) ComparedHere(conditions ...string) bool {
	return slices.ContainsFunc(conditions, func(c string) bool {
		return NamesETag(c) && (m == ETagMD5 || strings.Contains(c, ","))
	})
}
