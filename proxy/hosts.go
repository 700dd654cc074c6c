package proxy

import (
	"net"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/sigv4"
)

// hostedBucket gives the bucket that a Host header names below one of the
// domains: "bucket.domain", which is virtual-hosted style. "" for the domains
// themselves and all other hosts, where the path names the bucket.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
func hostedBucket(host string, domains []string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	bucket := ""
	for _, domain := range domains {
		domain = strings.ToLower(domain)
		if host == domain {
			return ""
		}
		// If domains are nested, the longest decides.
		if b, ok := strings.CutSuffix(host, "."+domain); ok && (bucket == "" || len(b) < len(bucket)) {
			bucket = b
		}
	}
	return bucket
}

// location is the URL of a key of the request's bucket, at the endpoint and in
// the style that the client used. As S3 writes it, the key has no bare slash.
func (x *clientRequest) location(key string) string {
	scheme := "http"
	if x.r.TLS != nil || strings.EqualFold(x.r.Header.Get("X-Forwarded-Proto"), "https") {
		scheme = "https"
	}
	url := scheme + "://" + x.r.Host + "/"
	if !x.hosted {
		url += x.bucket.String() + "/"
	}
	return url + strings.ReplaceAll(sigv4.EncodePath(key), "/", "%2F")
}
