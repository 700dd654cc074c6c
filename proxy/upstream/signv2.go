package upstream

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/s3proxy/s3proxy/proxy/sigv4"
)

// Signature is the version of the signatures of requests to the store.
type Signature string

const (
	// SignatureV4 is AWS4-HMAC-SHA256.
	SignatureV4 Signature = "v4"
	// SignatureV2 is for stores that know no other. It covers no body, and there are no chunks:
	// bodies are sent as with PayloadUnsigned, those in memory with a Content-MD5, which is signed.
	SignatureV2 Signature = "v2"
)

// signV2 is sign for a store that wants version 2.
func (c *Client) signV2(ctx context.Context, req *http.Request, in *Request, creds *aws.Credentials) error {
	if len(in.Bytes) > 0 && req.Header.Get("Content-Md5") == "" {
		req.Header.Set("Content-Md5", ContentMD5(in.Bytes))
	}
	if creds == nil {
		return nil
	}
	inHost := ""
	if c.cfg.Addressing.hosted(c.cfg.Endpoint, in.Bucket.String()) {
		inHost = in.Bucket.String()
	}
	return sigv4.SignV2(req, inHost, dialectOf(ctx), *creds, time.Now())
}

type dialectKey struct{}

// inDialect gives the context of a request that is signed for a store of this dialect.
func inDialect(ctx context.Context, d sigv4.DialectV2) context.Context {
	return context.WithValue(ctx, dialectKey{}, d)
}

func dialectOf(ctx context.Context) sigv4.DialectV2 {
	d, _ := ctx.Value(dialectKey{}).(sigv4.DialectV2)
	return d
}

// dialect is the one that the store was seen to understand.
func (l *Learned) dialect() sigv4.DialectV2 {
	if l.SignsLikeMinIO.Load() {
		return sigv4.MinIOV2
	}
	return sigv4.AWSV2
}

// errOurSignature is in the error of a request whose signature the store finds wrong.
var errOurSignature = errors.New("SignatureDoesNotMatch")

// inSomeDialect sends a request, and once more where the store may look for other parameters in
// its signature than those that were signed. What it takes is remembered.
func (c *Client) inSomeDialect(ctx context.Context, in *Request) (*http.Response, error) {
	if c.cfg.Signature != SignatureV2 {
		return c.once(ctx, in)
	}
	known := c.Learned.dialect()
	resp, err := c.once(inDialect(ctx, known), in)
	if in.Body != nil || !errors.Is(err, errOurSignature) || !slices.ContainsFunc(slices.Collect(maps.Keys(in.Query)), sigv4.DisputedV2) {
		return resp, err
	}
	other := sigv4.MinIOV2
	if known == other {
		other = sigv4.AWSV2
	}
	if resp, err = c.once(inDialect(ctx, other), in); !errors.Is(err, errOurSignature) {
		c.Learned.SignsLikeMinIO.Store(other == sigv4.MinIOV2)
	}
	return resp, err
}
