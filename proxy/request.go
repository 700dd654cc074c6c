package proxy

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/cors"
	"github.com/s3proxy/s3proxy/proxy/legacy"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/sigv4"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// maxHeaderBytes bounds a request's header section, as S3 does
// (RequestHeaderSectionTooLarge).
const maxHeaderBytes = 8 << 10

// clientRequest is one request as it was read and verified. It knows nothing of stores.
type clientRequest struct {
	r *http.Request

	bucket     s3name.Bucket
	key        s3name.Key
	uploadID   s3name.UploadID
	version    s3name.VersionID
	part       int        // its number; 0: the request is about no part
	hosted     bool       // the Host header names the bucket, not the path
	query      url.Values // without what names a place
	op         *operation
	auth       *sigv4.Auth
	credential Credential // of the client's access key
}

// scope tells what the path names.
func (x *clientRequest) scope() scope {
	switch {
	case x.bucket == (s3name.Bucket{}):
		return onService
	case x.key == (s3name.Key{}):
		return onBucket
	}
	return onObject
}

// parse reads host, path and query. It does not clean the path: `//`, `.` and `..` are part of a
// key.
func (x *clientRequest) parse(cfg *Config) error {
	rest := strings.TrimPrefix(x.r.URL.Path, "/")
	bucket, key := hostedBucket(x.r.Host, cfg.Domains), rest
	if x.hosted = bucket != ""; !x.hosted {
		bucket, key, _ = strings.Cut(rest, "/")
	}
	var err error
	if rest != "" || x.hosted {
		if x.bucket, err = s3name.ParseBucket(bucket); err != nil {
			return err
		}
		if _, configured := cfg.Buckets[bucket]; x.bucket.Ambiguous() && !configured {
			return s3err.InvalidBucketName.WithMessage("Some stores have an API of their own below the name %s. If it is a bucket here, name it under buckets: in the proxy's configuration.", bucket)
		}
	}
	if key != "" {
		if !utf8.ValidString(key) {
			return s3err.InvalidURI
		}
		if x.key, err = s3name.ParseKey(key); err != nil {
			return err
		}
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

// adoptPresigned turns the x-amz-* parameters of a presigned URL into headers, as S3 does. A
// checksum among them is dropped: SDKs that sign a PUT without its body put the checksum of an
// empty one there.
func (x *clientRequest) adoptPresigned() error {
	if !x.auth.Presigned {
		return nil
	}
	if x.auth.V2 {
		maps.DeleteFunc(x.query, func(name string, _ []string) bool { return sigv4.V2Parameter(name) })
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
		if present := x.r.Header.Values(name); len(present) > 1 || len(present) == 1 && present[0] != values[0] {
			return s3err.InvalidArgument.WithMessage("A header and a query parameter of the same name differ.").With(s3err.Field{Name: "ArgumentName", Value: name})
		}
		if !validHeader(name, values[0]) {
			return s3err.InvalidArgument.WithMessage("A header cannot have this name or value.").With(s3err.Field{Name: "ArgumentName", Value: name})
		}
		x.r.Header.Set(name, values[0])
	}
	return nil
}

var presignParameter = map[string]bool{
	"x-amz-algorithm": true, "x-amz-credential": true, "x-amz-date": true, "x-amz-expires": true,
	"x-amz-signedheaders": true, "x-amz-signature": true, "x-amz-security-token": true, "x-amz-content-sha256": true,
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

// errCopySource is S3's answer to a copy source where nothing is copied.
var errCopySource = s3err.InvalidArgument.WithMessage("You can only specify a copy source header for copy requests.")

// refusedHeader is the error for a header that asks for something that the proxy does not do, or
// that this client may not do.
func (x *clientRequest) refusedHeader() error {
	for name, values := range x.r.Header {
		switch {
		case len(values) > 1 && strings.HasPrefix(name, "X-Amz-") && !mayRepeat(name):
			return s3err.InvalidArgument.WithMessage("A header is given twice: %s", strings.ToLower(name)).With(s3err.Field{Name: "ArgumentName", Value: strings.ToLower(name)})
		case strings.HasPrefix(name, object.MetaHeaderPrefix):
			return s3err.InvalidArgument.WithMessage("Metadata names that begin with x-amz-meta-s3proxy- belong to s3proxy.").
				With(s3err.Field{Name: "ArgumentName", Value: strings.ToLower(name)})
		case strings.HasPrefix(name, "X-Amz-Server-Side-Encryption-Customer-"),
			strings.HasPrefix(name, "X-Amz-Copy-Source") && x.op.header == "":
			return errHeader(name)
		case x.op.method == http.MethodGet || x.op.method == http.MethodHead:
		case slices.Contains(sseHeaders, name) && !x.op.passesHeader(name) && !slices.Contains(x.op.own, name):
			return s3err.InvalidArgument.WithMessage("%s header is not supported for this operation.", strings.ToLower(name)).Argument(strings.ToLower(name), "")
		case strings.HasPrefix(name, "X-Amz-") && !commonHeader(name) && !slices.Contains(x.op.own, name) && !x.op.passesHeader(name):
			if meansMore(name) {
				return errHeader(name)
			}
		case managingHeader(name, values):
			if err := x.mayManage(); err != nil {
				return err
			}
		}
	}
	return nil
}

// refusedOldHeader refuses the header by which the older s3proxy marked its objects, where a client
// gives it to an object that is encrypted: of that it would mean nothing.
func (x *exchange) refusedOldHeader() error {
	if x.Passthrough || !legacy.Marked(x.r.Header) {
		return nil
	}
	name := strings.ToLower(legacy.HeaderName)
	return s3err.InvalidArgument.WithMessage("The metadata name %s belongs to the older s3proxy.", name).With(s3err.Field{Name: "ArgumentName", Value: name})
}

// mayRepeat tells whether an x-amz-* header may be given more than once: it is a list, S3 joins its
// values, or later code refuses it with S3's error. Of any other header, proxy and store might
// read different values.
func mayRepeat(name string) bool {
	switch name {
	case "X-Amz-Copy-Source-If-Match", "X-Amz-Copy-Source-If-None-Match", "X-Amz-Object-Attributes", "X-Amz-Optional-Object-Attributes", "X-Amz-Trailer":
		return true
	}
	return strings.HasPrefix(name, "X-Amz-Meta-") || strings.HasPrefix(name, "X-Amz-Grant-") || strings.HasPrefix(name, checksum.HeaderPrefix)
}

// validHeader tells whether a header can have this name and value (RFC 9110, 5.5 and 5.6.2).
func validHeader(name, value string) bool {
	return !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) &&
		!strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r) })
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
	h := make(http.Header, len(x.r.Header))
	for name, values := range x.r.Header {
		if x.ownsEncryption() && slices.Contains(sseHeaders, name) {
			continue
		}
		if name == cors.OriginHeader && !x.ownsCORS() || x.op.passesHeader(name) {
			h[object.MetaName(name)] = values
		}
	}
	return h
}

// passedQuery is the same for the query. It includes marks but not ids, which have fields of their
// own in the request.
func (x *clientRequest) passedQuery() url.Values {
	q := url.Values{}
	for name, values := range x.query {
		if x.op.takes(name) && !s3name.IsID(name) {
			q[name] = values
		}
	}
	if x.part > 0 {
		q.Set("partNumber", strconv.Itoa(x.part))
	}
	return q
}

// request is the client's request to the store, as far as its row lets it through, without a body.
func (x *exchange) request() *upstream.Request {
	return &upstream.Request{
		Method: x.r.Method, Bucket: x.bucket, Key: x.key, UploadID: x.uploadID, VersionID: x.version,
		Query: x.passedQuery(), Header: x.passedHeaders(), Unsigned: x.unsigned(),
	}
}
