package sigv4

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

const (
	service      = "s3"
	terminator   = "aws4_request"
	algorithmV4a = "AWS4-ECDSA-P256-SHA256"
)

var (
	errOneMechanism = s3err.InvalidArgument.WithMessage("Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified").
			With(s3err.Field{Name: "ArgumentName", Value: "Authorization"})
	errUnsupportedMechanism = s3err.InvalidRequest.WithMessage("The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
	errNoDate               = s3err.AccessDenied.WithMessage("AWS authentication requires a valid Date or x-amz-date header.")
	errMissingPayload       = s3err.InvalidRequest.WithMessage("Missing required header for this request: x-amz-content-sha256")
)

func malformedHeader(format string, args ...any) *s3err.Error {
	return s3err.AuthorizationHeaderMalformed.WithMessage("The authorization header is malformed; %s", fmt.Sprintf(format, args...))
}

func badQuery(format string, args ...any) *s3err.Error {
	return s3err.AuthorizationQueryParametersError.WithMessage(format, args...)
}

// credential is the Credential of a signature: a key and the scope of its use.
type credential struct{ accessKeyID, date, region string }

func (c credential) scope() string {
	return c.date + "/" + c.region + "/" + service + "/" + terminator
}

// parseCredential gives S3's text about what is wrong, or "".
func parseCredential(s string) (c credential, why string) {
	p := strings.Split(s, "/")
	if len(p) != 5 || p[0] == "" {
		return c, `the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".`
	}
	if p[3] != service {
		return c, fmt.Sprintf("incorrect service %q. This endpoint belongs to %q.", p[3], service)
	}
	if p[4] != terminator {
		return c, fmt.Sprintf("incorrect terminal %q. This endpoint uses %q.", p[4], terminator)
	}
	if _, err := time.Parse("20060102", p[1]); err != nil {
		return c, fmt.Sprintf(`incorrect date format %q. This date in the credential must be in the format "yyyyMMdd".`, p[1])
	}
	return credential{accessKeyID: p[0], date: p[1], region: p[2]}, ""
}

// authorization is a parsed Authorization header.
type authorization struct {
	credential    credential
	signedHeaders []string
	signature     string
}

// parseAuthorization reads
//
//	AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html
func parseAuthorization(header string) (*authorization, error) {
	scheme, rest, ok := strings.Cut(header, " ")
	if !ok {
		return nil, invalidAuthorization("Authorization header is invalid -- one and only one ' ' (space) required.", header)
	}
	switch scheme {
	case algorithm:
	case algorithmV4a:
		return nil, errUnsupportedMechanism
	default:
		return nil, invalidAuthorization("Unsupported Authorization Type", scheme)
	}
	components := strings.Split(rest, ",")
	if len(components) != 3 {
		return nil, malformedHeader("the authorization header requires three components: Credential, SignedHeaders, and Signature.")
	}
	given := map[string]string{}
	for _, component := range components {
		component = strings.TrimSpace(component)
		name, value, ok := strings.Cut(component, "=")
		if !ok {
			return nil, malformedHeader("the authorization component %q is malformed.", component)
		}
		given[name] = value
	}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if given[name] == "" {
			return nil, malformedHeader("missing %s.", name)
		}
	}
	c, why := parseCredential(given["Credential"])
	if why != "" {
		return nil, malformedHeader("%s", why)
	}
	signed, ok := parseSignedHeaders(given["SignedHeaders"])
	if !ok {
		return nil, malformedHeader("the authorization component %q is malformed.", "SignedHeaders="+given["SignedHeaders"])
	}
	return &authorization{credential: c, signedHeaders: signed, signature: given["Signature"]}, nil
}

// invalidAuthorization names the value as S3 does, but for one that may hold a
// signature.
func invalidAuthorization(text, value string) *s3err.Error {
	e := s3err.InvalidArgument.WithMessage("%s", text)
	if strings.Contains(strings.ToLower(value), "signature") {
		return e.With(s3err.Field{Name: "ArgumentName", Value: "Authorization"})
	}
	return e.Argument("Authorization", value)
}

// parseSignedHeaders wants what is in the canonical request: lower-case names,
// each once.
func parseSignedHeaders(s string) ([]string, bool) {
	names := strings.Split(s, ";")
	for i, name := range names {
		if name == "" || strings.ToLower(name) != name || strings.ContainsAny(name, " \t:\n") || slices.Contains(names[:i], name) {
			return nil, false
		}
	}
	return names, true
}

// authParameters are required of a presigned URL, by their exact names.
var authParameters = []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Expires"}

type parameter struct{ name, value string }

// query is a query string, decoded and in its order.
type query []parameter

// parseQuery splits at '&' only (a ';' is part of a value), and refuses a bad
// escape. A '+' is a space, as everywhere in a query.
func parseQuery(raw string) (query, error) {
	var q query
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		var p parameter
		var err error
		if p.name, err = url.QueryUnescape(name); err != nil {
			return nil, fmt.Errorf("query parameter's name: %w", err)
		}
		if p.value, err = url.QueryUnescape(value); err != nil {
			return nil, fmt.Errorf("query parameter's value: %w", err)
		}
		q = append(q, p)
	}
	return q, nil
}

// one gives the value of a parameter that is there exactly once.
func (q query) one(name string) (value string, ok bool) {
	for _, p := range q {
		if p.name == name {
			if ok {
				return "", false
			}
			value, ok = p.value, true
		}
	}
	return value, ok
}

// presigned is true as soon as one parameter of the signature is there, in any
// case: a URL that lost a part of its signature is not a request without one.
func (q query) presigned() bool {
	return slices.ContainsFunc(q, func(p parameter) bool {
		return slices.ContainsFunc(authParameters, func(name string) bool { return strings.EqualFold(name, p.name) })
	})
}

// presignedV2 is the same for Signature Version 2, but for Expires, which is a word like others.
func (q query) presignedV2() bool {
	return slices.ContainsFunc(q, func(p parameter) bool {
		return strings.EqualFold(p.name, "AWSAccessKeyId") || strings.EqualFold(p.name, "Signature")
	})
}
