package upstream

import (
	"errors"
	"net"
	"net/url"
	"regexp"
	"strings"
)

// Addressing says where a request names its bucket.
type Addressing string

const (
	// AddressingAuto is virtual for Amazon S3 over TLS, and path for all others.
	// It is also what the empty value means.
	AddressingAuto Addressing = "auto"
	// AddressingPath puts the bucket into the path.
	AddressingPath Addressing = "path"
	// AddressingVirtual puts the bucket before the host, where its name can be
	// part of a host's.
	AddressingVirtual Addressing = "virtual"
)

// hostName matches the names of buckets that S3 allows today.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
var hostName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

func (a Addressing) check(endpoint *url.URL) error {
	if a != AddressingVirtual {
		return nil
	}
	if net.ParseIP(endpoint.Hostname()) != nil {
		return errors.New("buckets cannot be hosts below an address: virtual addressing needs the store's name")
	}
	if strings.Trim(endpoint.Path, "/") != "" {
		return errors.New("virtual addressing and a path in the store's URL exclude each other")
	}
	return nil
}

// hosted tells whether requests for a bucket go to a host of its own. Over TLS a
// name with a dot does not: no certificate with a wildcard covers it.
func (a Addressing) hosted(endpoint *url.URL, bucket string) bool {
	tls := endpoint.Scheme == "https"
	switch a {
	case AddressingPath:
		return false
	case AddressingVirtual:
	default:
		if !tls || !amazon(endpoint.Hostname()) || strings.Trim(endpoint.Path, "/") != "" {
			return false
		}
	}
	return hostName.MatchString(bucket) && !strings.Contains(bucket, "..") && !(tls && strings.Contains(bucket, "."))
}

func amazon(host string) bool {
	host = strings.ToLower(host)
	return strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".amazonaws.com.cn")
}
