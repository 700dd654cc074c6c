package sigv4

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Signer signs requests for a store. It is safe for concurrent use.
type Signer struct {
	region string
	keys   signingKeys
}

// NewSigner makes a Signer for S3 in a region.
func NewSigner(region string) *Signer { return &Signer{region: region} }

// unsignedHeaders are those that whoever carries a request may change.
var unsignedHeaders = map[string]bool{"Authorization": true, "User-Agent": true, "X-Amzn-Trace-Id": true, "Expect": true, "Transfer-Encoding": true}

// defaultPorts are not part of the Host that stores see.
var defaultPorts = map[string]string{"http": ":80", "https": ":443"}

// Sign adds the headers of a signature to r. payloadHash is the body's SHA-256
// in hex, or UnsignedPayload. The path is signed and sent as in r.URL.RawPath,
// which must be EncodePath of r.URL.Path; the query is put in canonical order.
// Headers that are set later are not covered, and those of x-amz-* then make a
// store refuse the request.
func (s *Signer) Sign(r *http.Request, creds aws.Credentials, payloadHash string, now time.Time) error {
	_, err := s.sign(r, creds, payloadHash, now)
	return err
}

// sign gives the chain of which the request's signature is the first.
func (s *Signer) sign(r *http.Request, creds aws.Credentials, payloadHash string, now time.Time) (*chain, error) {
	query, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("sign for region %s: %w", s.region, err)
	}
	r.URL.RawQuery = query.canonical()
	stamp := now.UTC().Format(timeFormat)
	r.Header.Set("X-Amz-Content-Sha256", payloadHash)
	r.Header.Set("X-Amz-Date", stamp)
	if creds.SessionToken != "" {
		r.Header.Set("X-Amz-Security-Token", creds.SessionToken)
	}
	headers := headersToSign(r)
	names := namesOf(headers)
	var room [canonicalSize]byte
	request := appendRequest(room[:0], r.Method, r.URL.EscapedPath(), r.URL.RawQuery, headers, names, payloadHash)

	to := credential{creds.AccessKeyID, stamp[:8], s.region}
	key := s.keys.of(creds.SecretAccessKey, to.date, to.region)
	s.keys.keep(key)
	c := &chain{key: key.raw, stamp: stamp, scope: to.scope()}
	c.previous = c.mac(c.stringToSign(request))
	r.Header.Set("Authorization", algorithm+" Credential="+to.accessKeyID+"/"+c.scope+", SignedHeaders="+names+", Signature="+c.previous)
	return c, nil
}

// headersToSign are those of a request that is to be sent, in their order.
func headersToSign(r *http.Request) []header {
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	r.Host = strings.TrimSuffix(r.Host, defaultPorts[r.URL.Scheme])
	headers := make([]header, 0, len(r.Header)+2)
	headers = append(headers, header{"host", r.Host})
	if r.ContentLength > 0 {
		headers = append(headers, header{"content-length", strconv.FormatInt(r.ContentLength, 10)})
	}
	for name, values := range r.Header {
		if !unsignedHeaders[name] && name != "Content-Length" {
			headers = append(headers, header{strings.ToLower(name), canonicalValue(values)})
		}
	}
	slices.SortFunc(headers, func(a, b header) int { return strings.Compare(a.name, b.name) })
	return headers
}

// SignChunked signs r with a body of exactly length bytes that is signed chunk
// by chunk while it is sent, and makes that r.Body. It is for stores without
// TLS, where an unsigned body could be changed on the way. A body that ends
// early or goes on fails the request before its last chunk is sent.
func (s *Signer) SignChunked(r *http.Request, creds aws.Credentials, body io.Reader, length int64, now time.Time) error {
	encoding := "aws-chunked"
	if own := r.Header.Values("Content-Encoding"); len(own) > 0 {
		encoding += "," + strings.Join(own, ",")
	}
	r.Header.Set("Content-Encoding", encoding)
	r.Header.Set("X-Amz-Decoded-Content-Length", strconv.FormatInt(length, 10))
	r.ContentLength = ChunkedLength(length)
	c, err := s.sign(r, creds, streamingSigned, now)
	if err != nil {
		return err
	}
	r.GetBody = nil
	r.Body = io.NopCloser(&chunkEncoder{in: body, left: length, chain: *c})
	return nil
}
