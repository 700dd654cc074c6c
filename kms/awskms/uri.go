package awskms

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/s3proxy/s3proxy/kms"
)

// place is the content of a URI.
type place struct {
	name                      string // a KeyId of AWS's API
	profile, region, endpoint string // empty: as the AWS SDKs find them
}

// parseURI reads awskms://alias/NAME and awskms:///KEY.
func parseURI(uri *url.URL) (place, error) {
	const want = "write awskms://alias/NAME, or awskms:/// and a key's id or an ARN"
	var p place
	switch {
	case uri.Scheme != Scheme:
		return p, fmt.Errorf("scheme %q: %s", uri.Scheme, want)
	case uri.User != nil, uri.Fragment != "", uri.Opaque != "":
		return p, fmt.Errorf("it has more than a key: %s", want)
	case uri.Host == "alias" && len(uri.Path) > 1:
		p.name = "alias" + uri.Path
	case uri.Host == "" && len(uri.Path) > 1:
		p.name = uri.Path[1:]
	default:
		return p, errors.New(want)
	}
	if strings.ContainsFunc(p.name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return p, fmt.Errorf("the key's name has characters that AWS does not allow: %s", want)
	}
	q, err := url.ParseQuery(uri.RawQuery)
	if err != nil {
		return p, fmt.Errorf("parameters: %w", err)
	}
	for name, values := range q {
		to, known := map[string]*string{"profile": &p.profile, "region": &p.region, "endpoint": &p.endpoint}[name]
		if !known || len(values) != 1 || values[0] == "" {
			return p, fmt.Errorf("the parameter %s: only profile, region and endpoint are known, each of them once", name)
		}
		*to = values[0]
	}
	if a, err := arn.Parse(p.name); err == nil {
		if a.Service != "kms" || a.Region == "" {
			return p, fmt.Errorf("%s is not an ARN of KMS", p.name)
		}
		if p.region != "" && p.region != a.Region {
			return p, fmt.Errorf("the ARN is of region %s, not %s", a.Region, p.region)
		}
		p.region = a.Region
	}
	return p, nil
}

// Attempts of one call, all within the caller's deadline, with jitter and, after throttling, at
// an adapted rate.
const (
	maxAttempts = 4
	maxBackoff  = 500 * time.Millisecond
	callTimeout = 10 * time.Second // of one attempt
)

// Opener opens awskms URIs. It is for [kms.Registry.Register] under [Scheme]. It makes no calls,
// except for credentials if a profile says so.
func Opener(ctx context.Context, uri *url.URL) (kms.Key, error) { return open(ctx, uri, maxBackoff) }

func open(ctx context.Context, uri *url.URL, backoff time.Duration) (kms.Key, error) {
	p, err := parseURI(uri)
	if err != nil {
		return nil, err
	}
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(callTimeout).WithTransportOptions(func(t *http.Transport) { t.MaxIdleConnsPerHost = 32 })),
		config.WithRetryer(func() aws.Retryer {
			return retry.NewAdaptiveMode(func(o *retry.AdaptiveModeOptions) {
				o.StandardOptions = append(o.StandardOptions, func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = maxAttempts, backoff })
			})
		}),
	}
	if p.profile != "" {
		options = append(options, config.WithSharedConfigProfile(p.profile))
	}
	if p.region != "" {
		options = append(options, config.WithRegion(p.region))
	}
	c, err := config.LoadDefaultConfig(ctx, options...)
	var unread *url.Error
	if errors.As(err, &unread) { // a URL may be as secret as what it gives
		return nil, errors.New("the AWS configuration: AWS_CONTAINER_CREDENTIALS_FULL_URI is not a URL")
	}
	if err != nil {
		return nil, fmt.Errorf("the AWS configuration: %w", err)
	}
	if c.Region == "" {
		return nil, errors.New("no region: set AWS_REGION, or add ?region=")
	}
	c.Credentials = credentials{c.Credentials}
	client := awskms.NewFromConfig(c, func(o *awskms.Options) {
		if p.endpoint != "" {
			o.BaseEndpoint = &p.endpoint
		}
	})
	key := &Key{client: client, name: p.name}
	if _, err := parseKeyARN(p.name); err == nil {
		key.own = p.name // so that kms:Decrypt alone is enough to unwrap
	}
	return key, nil
}
