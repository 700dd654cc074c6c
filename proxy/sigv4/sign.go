package sigv4

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Signer signs requests for a store. It is safe for concurrent use.
type Signer struct {
	region  string
	current atomic.Pointer[secretSigner]
}

// secretSigner is the SDK's signer for one secret. It keeps the key of a day by the access key's
// name alone, and would go on signing with an old secret of that name until the day ends.
type secretSigner struct {
	secret string
	v4     *v4.Signer
}

// NewSigner makes a Signer for S3 in a region.
func NewSigner(region string) *Signer { return &Signer{region: region} }

// with gives the signer of a secret.
func (s *Signer) with(secret string) *v4.Signer {
	if kept := s.current.Load(); kept != nil && kept.secret == secret {
		return kept.v4
	}
	fresh := &secretSigner{secret, v4.NewSigner(func(o *v4.SignerOptions) {
		// S3 signs the path as it is sent, escaped once; other services twice.
		o.DisableURIPathEscaping = true
	})}
	s.current.Store(fresh)
	return fresh.v4
}

// Sign adds the headers of a signature to r. payloadHash is the body's SHA-256
// in hex, or UnsignedPayload. The path is signed and sent as in r.URL.RawPath,
// which must be EncodePath of r.URL.Path; the query is put in canonical order.
// Headers that are set later are not covered, and those of x-amz-* then make a
// store refuse the request.
func (s *Signer) Sign(ctx context.Context, r *http.Request, creds aws.Credentials, payloadHash string, now time.Time) error {
	r.Header.Set("X-Amz-Content-Sha256", payloadHash)
	if err := s.with(creds.SecretAccessKey).SignHTTP(ctx, creds, r, payloadHash, service, s.region, now); err != nil {
		return fmt.Errorf("sign for region %s: %w", s.region, err)
	}
	return nil
}

// SignChunked signs r with a body of exactly length bytes that is signed chunk
// by chunk while it is sent, and makes that r.Body. It is for stores without
// TLS, where an unsigned body could be changed on the way. A body that ends
// early or goes on fails the request before its last chunk is sent.
func (s *Signer) SignChunked(ctx context.Context, r *http.Request, creds aws.Credentials, body io.Reader, length int64, now time.Time) error {
	encoding := "aws-chunked"
	if own := r.Header.Values("Content-Encoding"); len(own) > 0 {
		encoding += "," + strings.Join(own, ",")
	}
	r.Header.Set("Content-Encoding", encoding)
	r.Header.Set("X-Amz-Decoded-Content-Length", strconv.FormatInt(length, 10))
	r.ContentLength = ChunkedLength(length)
	if err := s.Sign(ctx, r, creds, streamingSigned, now); err != nil {
		return err
	}
	_, seed, ok := strings.Cut(r.Header.Get("Authorization"), "Signature=")
	if !ok {
		return fmt.Errorf("sign for region %s: the signer gave no signature", s.region)
	}
	c := credential{date: now.UTC().Format("20060102"), region: s.region}
	r.GetBody = nil
	r.Body = io.NopCloser(&chunkEncoder{
		in:   body,
		left: length,
		chain: chain{
			key:   signingKey(creds.SecretAccessKey, c.date, c.region),
			stamp: now.UTC().Format(timeFormat), scope: c.scope(), previous: seed,
		},
	})
	return nil
}
