package sigv4

import (
	"net/http"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// Verify checks the signature of r, without its body: that is checked while it
// is read from Auth.Body. A request without any authentication is no error and
// has an empty AccessKeyID. All errors are *s3err.Error, with the codes and
// texts of S3.
func (v *Verifier) Verify(r *http.Request) (*Auth, error) {
	query, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, s3err.InvalidURI.Because(err)
	}
	if v.Anyone != "" {
		return trusted(r, query, v.Anyone)
	}
	inHeader := r.Header.Values("Authorization")
	inQuery, v2 := query.presigned(), query.presignedV2()
	switch {
	case (len(inHeader) > 0 || v2) && inQuery, len(inHeader) > 0 && v2, len(inHeader) > 1:
		return nil, errOneMechanism
	case v2:
		return v.verifyQueryV2(r, query)
	case inQuery:
		return v.verifyQuery(r, query)
	case len(inHeader) > 0 && strings.HasPrefix(inHeader[0], schemeV2):
		return v.verifyHeaderV2(r, query, inHeader[0])
	case len(inHeader) > 0:
		return v.verifyHeader(r, query, inHeader[0])
	}
	if v.OfConnection != nil {
		if id, err := v.OfConnection(r); err != nil || id != "" {
			if err != nil {
				return nil, err
			}
			return trusted(r, query, id)
		}
	}
	payload, err := payloadHeader(r)
	if err != nil {
		// As S3 does where nothing is signed: it is a hash, and one that no body has.
		payload = strings.Join(r.Header.Values("X-Amz-Content-Sha256"), ",")
	}
	return &Auth{Payload: payload}, nil
}

// trusted is the Auth of a request whose client is known without a signature. What the client
// says of the body is verified all the same, but for the signatures of chunks.
func trusted(r *http.Request, query query, accessKeyID string) (*Auth, error) {
	payload, err := payloadHeader(r)
	if err != nil {
		return nil, err
	}
	v2 := query.presignedV2()
	return &Auth{AccessKeyID: accessKeyID, Presigned: query.presigned() || v2, V2: v2, Payload: payload, chain: chain{unchecked: true}}, nil
}

func (v *Verifier) now() time.Time {
	if v.Now != nil {
		return v.Now()
	}
	return time.Now()
}

// key gives the signing key of a credential whose scope has been checked.
func (v *Verifier) key(c credential, token string) (derivedKey, error) {
	secret, err := v.secret(c.accessKeyID, token)
	if err != nil {
		return derivedKey{}, err
	}
	return v.keys.of(secret, c.date, c.region), nil
}

// secret gives the secret of an access key. Temporary credentials do not exist here, so a session
// token never fits.
func (v *Verifier) secret(accessKeyID, token string) (string, error) {
	if token != "" {
		return "", s3err.InvalidToken
	}
	secret, ok := v.Secret(accessKeyID)
	if !ok {
		return "", s3err.InvalidAccessKeyId.With(s3err.Field{Name: "AWSAccessKeyId", Value: accessKeyID})
	}
	return secret, nil
}

// verifyHeader checks a signature in the Authorization header.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
func (v *Verifier) verifyHeader(r *http.Request, query query, authorization string) (*Auth, error) {
	h, err := parseAuthorization(authorization)
	if err != nil {
		return nil, err
	}
	stamp, err := v.headerDate(r)
	if err != nil {
		return nil, err
	}
	if v.Region != "" && h.credential.region != v.Region {
		return nil, malformedHeader("the region %q is wrong; expecting %q", h.credential.region, v.Region).
			With(s3err.Field{Name: "Region", Value: v.Region})
	}
	key, err := v.key(h.credential, r.Header.Get("X-Amz-Security-Token"))
	if err != nil {
		return nil, err
	}
	if stamp[:8] != h.credential.date {
		return nil, malformedHeader("Invalid credential date. Date is not the same as X-Amz-Date.")
	}
	payload, err := payloadHeader(r)
	if err != nil {
		return nil, err
	}
	if payload == "" {
		return nil, errMissingPayload
	}
	a := &Auth{AccessKeyID: h.credential.accessKeyID, Region: h.credential.region, Payload: payload,
		chain: chain{key: key.raw, stamp: stamp, scope: h.credential.scope(), previous: h.signature}}
	if err := a.check(r, query.canonical(), h.signedHeaders); err != nil {
		return nil, err
	}
	v.keys.keep(key)
	return a, nil
}

// headerDate gives the request's date in the form of the string to sign.
func (v *Verifier) headerDate(r *http.Request) (stamp string, err error) {
	values := r.Header.Values("X-Amz-Date")
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		values = r.Header.Values("Date")
	}
	if len(values) != 1 {
		return "", errNoDate
	}
	date, err := parseDate(values[0])
	if err != nil {
		return "", errNoDate
	}
	if now := v.now(); now.Sub(date).Abs() > maxSkew {
		return "", s3err.RequestTimeTooSkewed.With(
			s3err.Field{Name: "RequestTime", Value: values[0]},
			s3err.Field{Name: "ServerTime", Value: now.UTC().Format(time.RFC3339)},
			s3err.Field{Name: "MaxAllowedSkewMilliseconds", Value: "900000"})
	}
	return date.UTC().Format(timeFormat), nil
}

// parseDate reads a date in one of the forms that clients send: that of version 4, those of HTTP,
// and s3cmd's, which has +0000 in the place of GMT.
func parseDate(s string) (time.Time, error) {
	if date, err := time.Parse(timeFormat, s); err == nil {
		return date, nil
	}
	if date, err := time.Parse(time.RFC1123Z, s); err == nil {
		return date, nil
	}
	return http.ParseTime(s)
}

// check refuses a request unless the signature in the chain is the one that it should have.
func (a *Auth) check(r *http.Request, query string, signedHeaders []string) error {
	if err := requireSigned(r, signedHeaders); err != nil {
		return err
	}
	var room [canonicalSize]byte
	request, err := appendCanonical(room[:0], r, query, signedHeaders, a.Payload)
	if err != nil {
		return err
	}
	text := a.chain.stringToSign(request)
	if !equal(a.chain.mac(text), a.chain.previous) {
		// Neither signature is given back: the client knows its own, and the right
		// one is for nobody.
		return s3err.SignatureDoesNotMatch.With(
			s3err.Field{Name: "AWSAccessKeyId", Value: a.AccessKeyID},
			s3err.Field{Name: "StringToSign", Value: text},
			s3err.Field{Name: "CanonicalRequest", Value: string(request)})
	}
	return nil
}
