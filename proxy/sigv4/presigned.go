package sigv4

import (
	"net/http"
	"strconv"
	"time"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// maxExpires is the longest life of a presigned URL: a week, in seconds.
const maxExpires = 604800

// verifyQuery checks a signature in the query.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
func (v *Verifier) verifyQuery(r *http.Request, query query) (*Auth, error) {
	values := map[string]string{}
	for _, name := range authParameters {
		value, ok := query.one(name)
		if !ok || value == "" {
			return nil, s3err.AuthorizationQueryParametersError
		}
		values[name] = value
	}
	switch values["X-Amz-Algorithm"] {
	case algorithm:
	case algorithmV4a:
		return nil, badQuery(`X-Amz-Algorithm only supports "%s"`, algorithm)
	default:
		return nil, badQuery(`X-Amz-Algorithm only supports "AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256"`)
	}
	c, why := parseCredential(values["X-Amz-Credential"])
	if why != "" {
		return nil, badQuery("Error parsing the X-Amz-Credential parameter; %s", why)
	}
	if v.Region != "" && c.region != v.Region {
		return nil, badQuery("Error parsing the X-Amz-Credential parameter; the region %q is wrong; expecting %q", c.region, v.Region).
			With(s3err.Field{Name: "Region", Value: v.Region})
	}
	stamp := values["X-Amz-Date"]
	date, err := time.Parse(timeFormat, stamp)
	if err != nil {
		return nil, badQuery(`X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`)
	}
	if stamp[:8] != c.date {
		return nil, badQuery(`Invalid credential date "%s". This date is not the same as X-Amz-Date: "%s".`, c.date, stamp[:8])
	}
	if err := v.checkExpiry(date, values["X-Amz-Expires"]); err != nil {
		return nil, err
	}
	signedHeaders, ok := parseSignedHeaders(values["X-Amz-SignedHeaders"])
	if !ok {
		return nil, badQuery("Error parsing the X-Amz-SignedHeaders parameter; lower-case names separated by semicolons are expected.")
	}
	token, _ := query.one("X-Amz-Security-Token")
	key, err := v.key(c, token+r.Header.Get("X-Amz-Security-Token"))
	if err != nil {
		return nil, err
	}
	payload, err := presignedPayload(r, query)
	if err != nil {
		return nil, err
	}
	a := &Auth{AccessKeyID: c.accessKeyID, Region: c.region, Presigned: true, Payload: payload,
		chain: chain{key: key.raw, stamp: stamp, scope: c.scope(), previous: values["X-Amz-Signature"]}}
	if err := a.check(r, query.canonical("X-Amz-Signature"), signedHeaders); err != nil {
		return nil, err
	}
	v.keys.keep(key)
	return a, nil
}

func (v *Verifier) checkExpiry(date time.Time, expires string) error {
	seconds, err := strconv.Atoi(expires)
	switch {
	case err != nil:
		return badQuery("X-Amz-Expires should be a number")
	case seconds < 0:
		return badQuery("X-Amz-Expires must be non-negative")
	case seconds > maxExpires:
		return badQuery("X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than %d seconds", maxExpires)
	}
	now, end := v.now(), date.Add(time.Duration(seconds)*time.Second)
	serverTime := s3err.Field{Name: "ServerTime", Value: now.UTC().Format(time.RFC3339)}
	endTime := s3err.Field{Name: "Expires", Value: end.UTC().Format(time.RFC3339)}
	if date.Sub(now) > maxSkew {
		return s3err.AccessDenied.WithMessage("Request is not yet valid").
			With(s3err.Field{Name: "X-Amz-Date", Value: strconv.FormatInt(date.UnixMilli(), 10)}, endTime, serverTime)
	}
	if seconds == 0 || !now.Before(end) { // with a client's clock ahead of ours 0 would be valid for a while
		return s3err.AccessDenied.WithMessage("Request has expired.").
			With(s3err.Field{Name: "X-Amz-Expires", Value: expires}, endTime, serverTime)
	}
	return nil
}

// presignedPayload is UNSIGNED-PAYLOAD unless the URL or a header says
// otherwise. It is part of the canonical request, so that a header that the
// signer did not think of makes the signature wrong.
func presignedPayload(r *http.Request, query query) (string, error) {
	if value, ok := query.one("X-Amz-Content-Sha256"); ok {
		return value, checkPayload(value)
	}
	value, err := payloadHeader(r)
	if value == "" && err == nil {
		value = UnsignedPayload
	}
	return value, err
}
