package sigv4

import (
	"crypto/hmac"
	"crypto/sha1" // which version 2 is made of; what breaks SHA-1 does not break HMAC-SHA1
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// V2 says which requests may be signed with Signature Version 2.
type V2 uint8

// The values of V2. Each allows what those before it allow.
const (
	V2Off       V2 = iota
	V2Presigned    // presigned URLs
	V2All          // the Authorization header and forms, too
)

const schemeV2 = "AWS "

var (
	errQueryV2  = s3err.AccessDenied.WithMessage("Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters")
	errHeaderV2 = s3err.InvalidArgument.WithMessage("AWS authorization header is invalid.  Expected AwsAccessKeyId:signature").
			With(s3err.Field{Name: "ArgumentName", Value: "Authorization"})
)

// verifyQueryV2 checks a signature of version 2 in the query.
// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html#RESTAuthenticationQueryStringAuth
func (v *Verifier) verifyQueryV2(r *http.Request, query query) (*Auth, error) {
	if v.V2 < V2Presigned {
		return nil, errUnsupportedMechanism
	}
	values := map[string]string{}
	for _, name := range []string{"AWSAccessKeyId", "Expires", "Signature"} {
		value, ok := query.one(name)
		if !ok || value == "" {
			return nil, errQueryV2
		}
		values[name] = value
	}
	if err := v.checkExpiryV2(values["Expires"]); err != nil {
		return nil, err
	}
	token, _ := query.one("x-amz-security-token")
	a := &Auth{AccessKeyID: values["AWSAccessKeyId"], Presigned: true, V2: true}
	if err := v.checkV2(r, query, a, values["Expires"], values["Signature"], token); err != nil {
		return nil, err
	}
	return a, nil
}

// checkExpiryV2 refuses a URL from its Expires on, which is in seconds since 1970. S3 bounds the
// life of such a URL by nothing else.
func (v *Verifier) checkExpiryV2(expires string) error {
	end, err := strconv.ParseUint(expires, 10, 63)
	if err != nil {
		return s3err.AccessDenied.WithMessage("Invalid date (should be seconds since epoch): %s", expires)
	}
	if now := v.now(); now.Unix() >= int64(end) {
		return s3err.AccessDenied.WithMessage("Request has expired.").
			With(s3err.Field{Name: "Expires", Value: time.Unix(int64(end), 0).UTC().Format(time.RFC3339)}, s3err.Field{Name: "ServerTime", Value: now.UTC().Format(time.RFC3339)})
	}
	return nil
}

// verifyHeaderV2 checks an Authorization header of version 2: "AWS id:signature".
// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html#ConstructingTheAuthenticationHeader
func (v *Verifier) verifyHeaderV2(r *http.Request, query query, authorization string) (*Auth, error) {
	if v.V2 < V2All {
		return nil, errUnsupportedMechanism
	}
	given := strings.TrimPrefix(authorization, schemeV2)
	colon := strings.LastIndexByte(given, ':') // a signature has none
	if colon < 1 || colon == len(given)-1 || strings.Contains(given, " ") {
		return nil, errHeaderV2
	}
	if _, err := v.headerDate(r); err != nil {
		return nil, err
	}
	date := ""
	if r.Header.Get("X-Amz-Date") == "" {
		date = r.Header.Get("Date")
	}
	a := &Auth{AccessKeyID: given[:colon], V2: true}
	if err := v.checkV2(r, query, a, date, given[colon+1:], ""); err != nil {
		return nil, err
	}
	return a, nil
}

// checkV2 compares the signature with the one that the request should have, and says in a what
// the body has to be.
func (v *Verifier) checkV2(r *http.Request, query query, a *Auth, date, signature, token string) (err error) {
	secret, err := v.secret(a.AccessKeyID, token+r.Header.Get("X-Amz-Security-Token"))
	if err != nil {
		return err
	}
	if a.Payload, err = payloadHeader(r); err != nil {
		return err
	}
	if a.Payload == "" {
		a.Payload = UnsignedPayload
	}
	if a.Streaming() { // chunks are signed with version 4
		return ErrPayloadUse
	}
	path := v.pathV2(r)
	text, err := stringToSignV2(r, path, query, date, a.Presigned)
	if err != nil {
		return err
	}
	if equal(macV2(secret, text), signature) {
		return nil
	}
	if bucketAlone(path) { // botocore signs it with a slash behind it, and sends none
		slashed, err := stringToSignV2(r, path+"/", query, date, a.Presigned)
		if err != nil || equal(macV2(secret, slashed), signature) {
			return err
		}
	}
	return s3err.SignatureDoesNotMatch.With(
		s3err.Field{Name: "AWSAccessKeyId", Value: a.AccessKeyID},
		s3err.Field{Name: "StringToSign", Value: text})
}

// macV2 is the signature of a text.
func macV2(secret, text string) string {
	h := hmac.New(sha1.New, []byte(secret))
	h.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}
