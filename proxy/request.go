package proxy

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/sigv4"
)

// maxHeaderBytes bounds a request's header section, as S3 does
// (RequestHeaderSectionTooLarge).
const maxHeaderBytes = 8 << 10

// maxKeyLength is S3's, in bytes.
const maxKeyLength = 1024

// bucketName is the widest form that S3 has ever allowed; the store judges the rest.
var bucketName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{2,254}$`)

// exchange is one request on its way through the proxy and the answer to it.
type exchange struct {
	*Proxy
	*objects // of the bucket that the path names
	w        http.ResponseWriter
	r        *http.Request
	id       string // the request id that the client is told

	bucket, key string
	hosted      bool // the Host header names the bucket, not the path
	query       url.Values
	op          *operation
	auth        *sigv4.Auth
	credential  Credential // of the client's access key
}

// scope tells what the path names.
func (x *exchange) scope() scope {
	switch {
	case x.bucket == "":
		return onService
	case x.key == "":
		return onBucket
	}
	return onObject
}

// parse reads host, path and query. Nothing is cleaned: `//`, `.` and `..` are part
// of a key.
func (x *exchange) parse() error {
	rest := strings.TrimPrefix(x.r.URL.Path, "/")
	if x.bucket = hostedBucket(x.r.Host, x.cfg.Domains); x.bucket != "" {
		x.hosted, x.key = true, rest
	} else {
		x.bucket, x.key, _ = strings.Cut(rest, "/")
	}
	if x.bucket == "" && rest != "" || x.bucket != "" && !bucketName.MatchString(x.bucket) {
		return s3err.InvalidBucketName
	}
	if !utf8.ValidString(x.key) {
		return s3err.InvalidURI
	}
	if len(x.key) > maxKeyLength {
		return s3err.KeyTooLongError
	}
	q, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil {
		return s3err.InvalidURI.Because(err)
	}
	x.query = url.Values{}
	for name, values := range q {
		if len(values) > 1 {
			return s3err.InvalidArgument.WithMessage("A query parameter is given twice.").With(s3err.Field{Name: "ArgumentName", Value: name})
		}
		x.query[name] = values
	}
	return nil
}

// adoptPresigned takes what a presigned URL carries in its query: S3 reads
// x-amz-* parameters there as headers. A checksum among them is dropped: SDKs
// put that of an empty body there when they sign a PUT whose body they have not.
func (x *exchange) adoptPresigned() error {
	if !x.auth.Presigned {
		return nil
	}
	for name, values := range x.query {
		lower := strings.ToLower(name)
		if !strings.HasPrefix(lower, "x-amz-") {
			continue
		}
		delete(x.query, name)
		if presignParameter[lower] || strings.HasPrefix(lower, "x-amz-checksum-") && lower != "x-amz-checksum-mode" || lower == "x-amz-sdk-checksum-algorithm" {
			continue
		}
		if present := x.r.Header.Values(name); len(present) > 0 && present[0] != values[0] {
			return s3err.InvalidArgument.WithMessage("A header and a query parameter of the same name differ.").With(s3err.Field{Name: "ArgumentName", Value: name})
		}
		if strings.ContainsFunc(values[0], func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return s3err.InvalidArgument.WithMessage("A header cannot have this value.").With(s3err.Field{Name: "ArgumentName", Value: name})
		}
		x.r.Header.Set(name, values[0])
	}
	return nil
}

var presignParameter = map[string]bool{
	"x-amz-algorithm": true, "x-amz-credential": true, "x-amz-date": true, "x-amz-expires": true,
	"x-amz-signedheaders": true, "x-amz-signature": true, "x-amz-security-token": true, "x-amz-content-sha256": true,
}

// checkKey refuses the proxy's own objects.
func (x *exchange) checkKey(key string) error {
	if leavesBucket(key) {
		return errLeavesBucket
	}
	if x.state.owns(key) {
		return s3err.AccessDenied.WithMessage("Keys that begin with %s belong to s3proxy.", x.state.root())
	}
	return nil
}

// errLeavesBucket is S3's answer to a key that leads out of its bucket, as
// versitygw's suite has it from S3: the status for a code.
var errLeavesBucket = &s3err.Error{Code: "400", Status: http.StatusBadRequest, Message: "Bad Request"}

// leavesBucket tells whether a store that folds `.` and `..` would take the key
// for the bucket itself or for something outside of it.
func leavesBucket(key string) bool {
	depth := 0
	for _, segment := range strings.Split(key, "/") {
		switch segment {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return true
			}
		default:
			depth++
		}
	}
	return depth == 0 && strings.Contains(key, ".")
}

// headerBytes is the size of the header section as it came.
func headerBytes(r *http.Request) int {
	n := len("Host: \r\n") + len(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v) + len(": \r\n")
		}
	}
	return n
}

// refusedHeader gives the error for a header that asks for what we do not do.
func (x *exchange) refusedHeader() error {
	for name := range x.r.Header {
		switch {
		case strings.HasPrefix(name, "X-Amz-Meta-S3proxy-"):
			return s3err.InvalidArgument.WithMessage("Metadata names that begin with x-amz-meta-s3proxy- belong to s3proxy.").
				With(s3err.Field{Name: "ArgumentName", Value: strings.ToLower(name)})
		case strings.HasPrefix(name, "X-Amz-Server-Side-Encryption-Customer-"),
			strings.HasPrefix(name, "X-Amz-Copy-Source") && x.op.header == "":
			return s3err.NotImplemented.With(s3err.Field{Name: "Header", Value: name})
		case x.op.method == http.MethodGet || x.op.method == http.MethodHead:
		case strings.HasPrefix(name, "X-Amz-") && !commonHeader(name) && !slices.Contains(x.op.own, name) && !x.op.passesHeader(name):
			return s3err.NotImplemented.With(s3err.Field{Name: "Header", Value: name})
		}
	}
	return nil
}

// commonHeader tells whether the proxy itself acts on a header, or may ignore it.
func commonHeader(name string) bool {
	switch name {
	case "X-Amz-Date", "X-Amz-Content-Sha256", "X-Amz-Security-Token", "X-Amz-Decoded-Content-Length", "X-Amz-Trailer",
		"X-Amz-Sdk-Checksum-Algorithm", "X-Amz-Checksum-Algorithm", "X-Amz-User-Agent", "X-Amz-Te", "X-Amz-Id-2", "X-Amz-Request-Id", "X-Amz-Cf-Id":
		return true
	}
	return strings.HasPrefix(name, "X-Amz-Checksum-")
}

// passedHeaders are the client's headers that the row lets through to the store.
func (x *exchange) passedHeaders() http.Header {
	h := http.Header{}
	for name, values := range x.r.Header {
		if name == "Origin" || x.op.passesHeader(name) {
			h[metaName(name)] = values
		}
	}
	return h
}

// metaPrefix begins the names of user metadata, which are lower case in S3.
// net/http spells header names its own way; a store that keeps the spelling
// would give "X-Amz-Meta-Color" back for "x-amz-meta-color".
const metaPrefix = "x-amz-meta-"

func metaName(header string) string {
	if strings.HasPrefix(header, "X-Amz-Meta-") {
		return strings.ToLower(header)
	}
	return header
}

// passedQuery is the same for the query; marks are among them.
func (x *exchange) passedQuery() url.Values {
	q := url.Values{}
	for name, values := range x.query {
		if x.op.takes(name) {
			q[name] = values
		}
	}
	return q
}
