package sigv4

import (
	"crypto/hmac"
	"net/http"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	timeFormat = "20060102T150405Z"

	// maxSkew is how far a request's date may be from the server's, either way.
	maxSkew = 15 * time.Minute
)

// Verifier checks the signatures of requests. It is safe for concurrent use.
type Verifier struct {
	// Region that a credential scope must name. Empty: any.
	Region string
	// V2 says what may be signed with version 2. The zero value: nothing.
	V2 V2
	// HostedBucket gives the bucket that a Host header names, "" for none; nil: no host names one.
	// Version 2 signs it as a part of the path.
	HostedBucket func(host string) string
	// Secret gives the secret key of an access key.
	Secret func(accessKeyID string) (secret string, ok bool)
	// Anyone, if not empty, is the access key that every request is taken for, signed or not: no
	// signature is looked at.
	Anyone string
	// OfConnection gives the access key of the client that the connection of an unsigned request
	// belongs to, "" for none: a certificate stands for a signature. Nil: no connection does.
	OfConnection func(*http.Request) (accessKeyID string, err error)
	// Now is the server's clock; nil for time.Now.
	Now func() time.Time

	keys signingKeys
}

// Auth says who signed a request, and has what the verification of its body
// needs.
type Auth struct {
	// AccessKeyID is empty for a request that is not signed at all.
	AccessKeyID string
	// Region is the one that the request is signed for; empty where nothing says it.
	Region string
	// Presigned: the signature was in the query.
	Presigned bool
	// V2: the signature is one of version 2, which covers no body. A client may have given the
	// body's hash all the same.
	V2 bool
	// Payload is x-amz-content-sha256 as the client gave it: a SHA-256 in hex,
	// UNSIGNED-PAYLOAD or one of the STREAMING- values. Empty only for an
	// unsigned request without it.
	Payload string

	chain chain
}

// Signed tells whether the client has proven who it is by a signature.
func (a *Auth) Signed() bool { return a.AccessKeyID != "" && !a.chain.unchecked }

// equal compares two signatures in hex in constant time.
func equal(a, b string) bool { return hmac.Equal([]byte(a), []byte(b)) }
