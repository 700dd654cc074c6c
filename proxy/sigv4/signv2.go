package sigv4

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// DialectV2 says which parameters of a query a store looks for in signatures of version 2.
type DialectV2 uint8

const (
	// AWSV2 are those of AWS, botocore and Ceph.
	AWSV2 DialectV2 = iota
	// MinIOV2 are those of MinIO (resourceList in its cmd/signature-v2.go).
	MinIOV2
)

// onlyMinIO and notMinIO are what the two differ in.
var (
	onlyMinIO = []string{"encryption", "legal-hold", "retention"}
	notMinIO  = []string{"accelerate", "analytics", "inventory", "metrics", "object-lock", "replication", "restore"}
)

// DisputedV2 tells whether not all stores treat a parameter alike.
func DisputedV2(name string) bool {
	return slices.Contains(onlyMinIO, name) || slices.Contains(notMinIO, name)
}

func (d DialectV2) signs(name string) bool {
	if d == MinIOV2 && DisputedV2(name) {
		return slices.Contains(onlyMinIO, name)
	}
	return slices.Contains(subresourcesV2, name)
}

// SignV2 adds the headers of a signature of version 2 to r, which covers no body but by Content-MD5
// and not the host. bucketOfHost is the bucket that the host names, "" where the path does. Headers
// that are set later are not covered, and those of x-amz-* then make a store refuse the request.
// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html#ConstructingTheAuthenticationHeader
func SignV2(r *http.Request, bucketOfHost string, d DialectV2, creds aws.Credentials, now time.Time) error {
	date := now.UTC().Format(http.TimeFormat)
	r.Header.Set("Date", date)
	if creds.SessionToken != "" {
		r.Header.Set("X-Amz-Security-Token", creds.SessionToken)
	}
	path := r.URL.EscapedPath()
	if bucketOfHost != "" {
		path = "/" + bucketOfHost + path
	}
	q, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return s3err.InvalidURI.Because(err)
	}
	amz, err := amzLines(r.Header, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", schemeV2+creds.AccessKeyID+":"+macV2(creds.SecretAccessKey, textV2(r, path, date, amz, q.subresources(d))))
	return nil
}

// subresources are the parameters that version 2 signs. A sender leaves the others out, whatever
// they are: stores do not look for them in the signature.
func (q query) subresources(d DialectV2) (signed []parameter) {
	for _, p := range q {
		if d.signs(p.name) {
			signed = append(signed, p)
		}
	}
	return signed
}

// textV2 is the text that version 2 signs, made of what it covers.
func textV2(r *http.Request, path, date, amz string, subresources []parameter) string {
	slices.SortFunc(subresources, func(a, b parameter) int { return strings.Compare(a.name, b.name) })
	resource, separator := path, "?"
	for _, p := range subresources {
		resource += separator + p.name
		if p.value != "" {
			resource += "=" + p.value
		}
		separator = "&"
	}
	return r.Method + "\n" + r.Header.Get("Content-Md5") + "\n" + r.Header.Get("Content-Type") + "\n" + date + "\n" + amz + resource
}
