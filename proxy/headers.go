package proxy

import (
	"slices"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// meaningful are the words, between the dashes of a header's name, by which S3 names what
// would be broken without a word where the header is ignored: a condition or a guard, an
// encryption that is asked for, a write of less than the whole object, another source.
var meaningful = []string{
	"if", "condition", "conditional", "precondition", "unless", "expected",
	"encryption", "sse", "kms",
	"offset", "range", "append",
	"rename", "source",
}

// meansMore tells whether an x-amz-* header that its operation does not have must be
// refused. All others S3 ignores, and clients send them: AWS's C++ SDK sends
// x-amz-api-version with each write, s3fs a metadata directive with the beginning of an upload.
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
