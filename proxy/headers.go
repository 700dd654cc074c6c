package proxy

import (
	"slices"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// meaningful are the words in header names of S3 that change what a request means, so that
// ignoring them would break something silently: a condition, an encryption, a write of a part of
// the object, another source.
var meaningful = []string{
	"if", "condition", "conditional", "precondition", "unless", "expected",
	"encryption", "sse", "kms",
	"offset", "range", "append",
	"rename", "source",
}

// meansMore tells whether an x-amz-* header that does not belong to its operation must be refused.
// S3 ignores the others, and clients send them: AWS's C++ SDK sends x-amz-api-version with each
// write, s3fs a metadata directive when it starts an upload.
func meansMore(name string) bool {
	if strings.HasPrefix(name, "X-Amz-Meta-") {
		return false
	}
	return slices.ContainsFunc(strings.Split(strings.ToLower(name), "-"), func(word string) bool { return slices.Contains(meaningful, word) })
}

// errHeader refuses a request for one of its headers. SDKs show the message alone.
func errHeader(name string) *s3err.Error {
	name = strings.ToLower(name)
	return s3err.NotImplemented.WithMessage("A header you provided implies functionality that is not implemented: %s", name).With(s3err.Field{Name: "Header", Value: name})
}
