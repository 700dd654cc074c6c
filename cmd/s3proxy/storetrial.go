package main

import (
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// ofStores comes before ofConnections.
var ofStores = []advice{
	{"no upstream credentials", "it has no credentials for it: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile, a role or whatever else the AWS SDKs know"},
	{"answers InvalidAccessKeyId", "it does not know the access key: correct AWS_ACCESS_KEY_ID, or whatever else the proxy's credentials come from"},
	{"XAdminUserNotFound", "it does not know the access key: correct AWS_ACCESS_KEY_ID, or whatever else the proxy's credentials come from"}, // versitygw
	{"answers SignatureDoesNotMatch", "the secret key is wrong: correct AWS_SECRET_ACCESS_KEY, or whatever else the proxy's credentials come from"},
	{"answers AuthorizationHeaderMalformed", "the region is wrong: correct --upstream-region"},
	{"answers RequestTimeTooSkewed", "the clocks differ: set this machine's, or the store's"},
	{"answers ExpiredToken", "the session token has expired: get a new one"},
	{"answers InvalidToken", "the session token is wrong: get a new one, or unset AWS_SESSION_TOKEN"},
	{"redirects", "correct --upstream and --upstream-region"},
}

// storeTrial looks whether a store lists its buckets to the proxy, or at least knows who asks.
func storeTrial(set config.Upstream, client *upstream.Client) trial {
	endpoint, _ := url.Parse(set.URL) // as the client was made
	return trial{
		what: "the store", at: set.URL,
		look: func(ctx context.Context) error {
			var buckets struct {
				XMLName xml.Name `xml:"ListAllMyBucketsResult"`
			}
			err := getXML(ctx, client, s3name.Bucket{}, nil, &buckets)
			var refused *s3err.Error
			if errors.As(err, &refused) && refused.Status == http.StatusForbidden && refused.Code == "AccessDenied" {
				return nil // it may use some buckets, and not list all
			}
			return err
		},
		toDo: func(ctx context.Context, err error) string {
			var refused *s3err.Error
			answered := !errors.As(err, &refused) || !errors.Is(err, upstream.ErrNoAnswer)
			switch {
			case endpoint.Scheme == "http" && speaksTLS(ctx, endpoint):
				return "it speaks TLS: write https:// in its address"
			case strings.Trim(endpoint.Path, "/") != "" && answered && adviceFor(err, ofStores) == "":
				return "its address has the path " + endpoint.Path + ", and there it is no S3: leave the path out, since buckets are named by requests"
			}
			return adviceFor(err, slices.Concat(ofStores, ofConnections, ofAnswers))
		},
	}
}

// ofAnswers comes last.
var ofAnswers = []advice{
	{"expected element type", "it does not answer as S3 does: this may be the address of its console"},
	{"XML syntax error", "it does not answer as S3 does: this may be the address of its console"},
	{"malformed HTTP", "it does not speak HTTP: correct the port in its address"},
}

// speaksTLS tells whether a server that was called in plain text would rather have had TLS. It
// sends nothing.
func speaksTLS(ctx context.Context, endpoint *url.URL) bool {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	address := endpoint.Host
	if endpoint.Port() == "" {
		address = net.JoinHostPort(endpoint.Hostname(), "80")
	}
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
