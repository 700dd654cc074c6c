package sigv4

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// subresourcesV2 are the parameters that version 2 signs, as botocore, Ceph and AWS have them.
// What only some of them sign is left out, so that a request with it is refused.
var subresourcesV2 = []string{
	"accelerate", "acl", "analytics", "cors", "delete", "inventory", "lifecycle", "location", "logging", "metrics", "notification",
	"object-lock", "partNumber", "policy", "replication", "requestPayment", "response-cache-control", "response-content-disposition",
	"response-content-encoding", "response-content-language", "response-content-type", "response-expires", "restore", "select",
	"select-type", "tagging", "torrent", "uploadId", "uploads", "versionId", "versioning", "versions", "website",
}

// unsignedV2 are the parameters that version 2 does not sign and that a request with an
// Authorization header may have all the same: they say which part of a list is wanted.
var unsignedV2 = []string{
	"bucket-region", "continuation-token", "delimiter", "encoding-type", "fetch-owner", "key-marker", "list-type", "marker", "max-buckets",
	"max-keys", "max-parts", "max-uploads", "part-number-marker", "prefix", "start-after", "upload-id-marker", "version-id-marker",
}

// V2Parameter tells whether a parameter of a URL that was presigned with version 2 says nothing
// but how it is signed: x-amz-* apart, which are headers. botocore repeats the two headers that
// are signed, with which the request has to come.
func V2Parameter(name string) bool {
	switch name {
	case "AWSAccessKeyId", "Expires", "Signature", "content-md5", "content-type":
		return true
	}
	return false
}

func notCoveredV2(name string) error {
	return s3err.AccessDenied.WithMessage("A signature of version 2 does not cover this query parameter. Sign the request with AWS4-HMAC-SHA256.").
		With(s3err.Field{Name: "ArgumentName", Value: name})
}

// stringToSignV2 is the text that version 2 signs for r. A request with anything in its query that
// this does not cover is refused, whether or not it would mean anything: whoever holds a presigned
// URL could add it.
// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html#ConstructingTheCanonicalizedResourceElement
func stringToSignV2(r *http.Request, path string, query query, date string, presigned bool) (string, error) {
	for _, name := range []string{"Content-Md5", "Content-Type"} {
		if len(r.Header.Values(name)) > 1 {
			return "", s3err.InvalidArgument.WithMessage("A header is given twice.").With(s3err.Field{Name: "ArgumentName", Value: strings.ToLower(name)})
		}
	}
	q, err := query.splitV2(r.Header, presigned)
	if err != nil {
		return "", err
	}
	amz, err := amzLines(r.Header, q.amz)
	if err != nil {
		return "", err
	}
	return textV2(r, path, date, amz, q.subresources), nil
}

// pathV2 is the path that version 2 signs: as it came, behind the bucket that the host names.
func (v *Verifier) pathV2(r *http.Request) string {
	if v.HostedBucket != nil {
		if bucket := v.HostedBucket(r.Host); bucket != "" {
			return "/" + bucket + rawPath(r)
		}
	}
	return rawPath(r)
}

// bucketAlone tells whether a path is that of a bucket without the slash that may follow it. One
// with an escape in it could have a slash behind the bucket.
func bucketAlone(path string) bool {
	return len(path) > 1 && strings.LastIndexByte(path, '/') == 0 && !strings.Contains(path, "%")
}

// queryV2 is what version 2 signs of a query.
type queryV2 struct {
	subresources []parameter
	amz          []parameter // that stand for headers of their names
}

func (q query) splitV2(h http.Header, presigned bool) (split queryV2, err error) {
	for i, p := range q {
		if slices.ContainsFunc(q[:i], func(other parameter) bool { return other.name == p.name }) {
			return split, s3err.InvalidArgument.WithMessage("A query parameter is given twice.").With(s3err.Field{Name: "ArgumentName", Value: p.name})
		}
		switch {
		case slices.Contains(subresourcesV2, p.name):
			if ambiguousV2(p.value) {
				return split, notCoveredV2(p.name)
			}
			split.subresources = append(split.subresources, p)
		case !presigned && slices.Contains(unsignedV2, p.name):
		case presigned && V2Parameter(p.name) && (!strings.HasPrefix(p.name, "content-") || p.value == h.Get(p.name)):
		case presigned && amzParameter(p):
			split.amz = append(split.amz, p)
		default:
			return split, notCoveredV2(p.name)
		}
	}
	return split, nil
}

// ambiguousV2 tells whether a value could be read as further parameters: version 2 signs values
// decoded, so that "a&versionId=1" as one value and the two parameters have one signature.
func ambiguousV2(value string) bool {
	for i, piece := range strings.Split(value, "&") {
		if name, _, _ := strings.Cut(piece, "="); i > 0 && slices.Contains(subresourcesV2, name) {
			return true
		}
	}
	return strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// amzParameter tells whether a parameter can stand for a header, in one way alone: its line in the
// signed text must not be readable as another name, or as two lines. The hash of the body is taken
// from its header.
func amzParameter(p parameter) bool {
	return strings.HasPrefix(p.name, "x-amz-") && p.name != "x-amz-content-sha256" &&
		!strings.ContainsFunc(p.name, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
		}) && p.value == strings.TrimSpace(p.value) && !strings.ContainsFunc(p.value, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// amzLines are all x-amz-* headers, those in the query of a presigned URL among them, by name.
func amzLines(h http.Header, inQuery []parameter) (string, error) {
	lines := map[string]string{}
	for name, values := range h {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-amz-") {
			trimmed := make([]string, len(values))
			for i, value := range values {
				trimmed[i] = strings.TrimSpace(value)
			}
			lines[lower] = strings.Join(trimmed, ",")
		}
	}
	for _, p := range inQuery {
		if value, given := lines[p.name]; given && value != p.value {
			return "", s3err.InvalidArgument.WithMessage("A header and a query parameter of the same name differ.").With(s3err.Field{Name: "ArgumentName", Value: p.name})
		}
		lines[p.name] = p.value
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		b.WriteString(name + ":" + lines[name] + "\n")
	}
	return b.String(), nil
}
