package sigv4

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// wantRefused wants an error of that code, and with that text if there is one.
func wantRefused(t *testing.T, err error, want *s3err.Error, text string) *s3err.Error {
	t.Helper()
	var got *s3err.Error
	if !errors.As(err, &got) {
		t.Fatalf("not refused: %v", err)
	}
	if got.Code != want.Code || got.Status != want.Status || text != "" && got.Message != text {
		t.Fatalf("%d %s: %s", got.Status, got.Code, got.Message)
	}
	return got
}

// signedGet is a good request at the time of the examples, for changing.
func signedGet(t *testing.T) *http.Request {
	t.Helper()
	return sdkSigned(t, httptest.NewRequest("GET", "http://s3.test/bucket/key?versionId=1", nil), emptySum, exampleTime)
}

func TestAHeaderSignatureThatDoesNotFitIsRefused(t *testing.T) {
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	auth := func(old, new string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, new, 1))
		}
	}
	const malformed = "The authorization header is malformed; "
	for name, c := range map[string]struct {
		change func(*http.Request)
		want   *s3err.Error
		text   string
	}{
		"another method":           {func(r *http.Request) { r.Method = "DELETE" }, s3err.SignatureDoesNotMatch, ""},
		"another host":             {func(r *http.Request) { r.Host = "evil.test" }, s3err.SignatureDoesNotMatch, ""},
		"another path":             {func(r *http.Request) { r.URL.Path, r.RequestURI = "/bucket/other", "/bucket/other?versionId=1" }, s3err.SignatureDoesNotMatch, ""},
		"a path that cleans to it": {func(r *http.Request) { r.RequestURI = "/bucket/./key?versionId=1" }, s3err.SignatureDoesNotMatch, ""},
		"another query":            {func(r *http.Request) { r.URL.RawQuery = "versionId=2" }, s3err.SignatureDoesNotMatch, ""},
		"a further parameter":      {func(r *http.Request) { r.URL.RawQuery += "&tagging" }, s3err.SignatureDoesNotMatch, ""},
		"the parameter twice":      {func(r *http.Request) { r.URL.RawQuery += "&versionId=1" }, s3err.SignatureDoesNotMatch, ""},
		"a bad escape":             {func(r *http.Request) { r.URL.RawQuery = "versionId=%4" }, s3err.InvalidURI, ""},
		"a forged signature":       {auth("Signature=", "Signature=0"), s3err.SignatureDoesNotMatch, "The request signature we calculated does not match the signature you provided. Check your key and signing method."},
		"another body hash":        {set("X-Amz-Content-Sha256", UnsignedPayload), s3err.SignatureDoesNotMatch, ""},
		"no body hash":             {func(r *http.Request) { r.Header.Del("X-Amz-Content-Sha256") }, s3err.InvalidRequest, "Missing required header for this request: x-amz-content-sha256"},
		"a bad body hash":          {set("X-Amz-Content-Sha256", "invalid_sha256"), s3err.InvalidArgument, "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER or a valid sha256 value."},
		"two body hashes":          {func(r *http.Request) { r.Header.Add("X-Amz-Content-Sha256", UnsignedPayload) }, s3err.InvalidArgument, ""},
		"an unsigned x-amz header": {set("X-Amz-Copy-Source", "a/b"), s3err.AccessDenied, "There were headers present in the request which were not signed"},
		"an unsigned Content-MD5":  {set("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="), s3err.AccessDenied, "There were headers present in the request which were not signed"},
		"an unsigned host":         {auth("SignedHeaders=host;", "SignedHeaders="), s3err.AccessDenied, "There were headers present in the request which were not signed"},
		"a session token":          {set("X-Amz-Security-Token", "token"), s3err.InvalidToken, ""},
		"an unknown access key":    {auth("Credential="+exampleID, "Credential=nobody"), s3err.InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records."},
		"another day":              {auth("20130524", "20130523"), s3err.AuthorizationHeaderMalformed, malformed + "Invalid credential date. Date is not the same as X-Amz-Date."},
		"another region":           {auth("us-east-1", "eu-west-1"), s3err.AuthorizationHeaderMalformed, malformed + "the region \"eu-west-1\" is wrong; expecting \"us-east-1\""},
		"another service":          {auth("/s3/", "/ec2/"), s3err.AuthorizationHeaderMalformed, malformed + `incorrect service "ec2". This endpoint belongs to "s3".`},
		"another terminator":       {auth("aws4_request", "aws_request"), s3err.AuthorizationHeaderMalformed, malformed + `incorrect terminal "aws_request". This endpoint uses "aws4_request".`},
		"a bad day":                {auth("20130524", "3223423234"), s3err.AuthorizationHeaderMalformed, malformed + `incorrect date format "3223423234". This date in the credential must be in the format "yyyyMMdd".`},
		"too long a credential":    {auth("/aws4_request", "/extra/things"), s3err.AuthorizationHeaderMalformed, malformed + `the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".`},
		"no credential":            {auth("Credential", "missing"), s3err.AuthorizationHeaderMalformed, malformed + "missing Credential."},
		"no signed headers":        {auth("SignedHeaders", "missing"), s3err.AuthorizationHeaderMalformed, malformed + "missing SignedHeaders."},
		"no signature":             {auth("Signature=", "missing="), s3err.AuthorizationHeaderMalformed, malformed + "missing Signature."},
		"two components":           {set("Authorization", algorithm+" Credential=a,Signature=b"), s3err.AuthorizationHeaderMalformed, malformed + "the authorization header requires three components: Credential, SignedHeaders, and Signature."},
		"a bad component":          {auth("SignedHeaders=", "SignedHeaders-"), s3err.AuthorizationHeaderMalformed, ""},
		"no space":                 {set("Authorization", "invalid_header"), s3err.InvalidArgument, "Authorization header is invalid -- one and only one ' ' (space) required."},
		"no space but a signature": {func(r *http.Request) {
			r.Header.Set("Authorization", strings.ReplaceAll(r.Header.Get("Authorization"), " ", ""))
		}, s3err.InvalidArgument, ""},
		"another algorithm": {auth(algorithm, "AWS2-HMAC-SHA1"), s3err.InvalidArgument, "Unsupported Authorization Type"},
		"a bearer token":    {set("Authorization", "Bearer abc"), s3err.InvalidArgument, "Unsupported Authorization Type"},
		"version 2":         {set("Authorization", "AWS key:signature"), s3err.InvalidRequest, "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."},
		"version 4a":        {auth(algorithm, algorithmV4a), s3err.InvalidRequest, "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."},
		"version 2 in the query": {func(r *http.Request) {
			r.Header.Del("Authorization")
			r.URL.RawQuery = "AWSAccessKeyId=a&Expires=1&Signature=s"
		}, s3err.InvalidRequest, "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."},
		"two headers":      {func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }, s3err.InvalidArgument, ""},
		"header and query": {func(r *http.Request) { r.URL.RawQuery += "&X-Amz-Algorithm=" + algorithm }, s3err.InvalidArgument, "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified"},
		"no date":          {func(r *http.Request) { r.Header.Del("X-Amz-Date") }, s3err.AccessDenied, "AWS authentication requires a valid Date or x-amz-date header."},
		"a bad date":       {set("X-Amz-Date", "03032006"), s3err.AccessDenied, "AWS authentication requires a valid Date or x-amz-date header."},
		"two dates":        {func(r *http.Request) { r.Header.Add("X-Amz-Date", "20130524T000001Z") }, s3err.AccessDenied, ""},
		"another date":     {set("X-Amz-Date", "20130524T000001Z"), s3err.SignatureDoesNotMatch, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := signedGet(t)
			if _, err := exampleVerifier().Verify(r); err != nil {
				t.Fatal("before the change:", err)
			}
			signature := r.Header.Get("Authorization")[strings.Index(r.Header.Get("Authorization"), "Signature=")+10:]
			c.change(r)
			_, err := exampleVerifier().Verify(r)
			refused := wantRefused(t, err, c.want, c.text)
			w := httptest.NewRecorder()
			refused.Write(w, r, "/bucket/key", "", "")
			if strings.Contains(w.Body.String(), signature) {
				t.Errorf("the answer has the signature: %s", w.Body)
			}
		})
	}
}

func TestTheErrorsCarryTheFieldsOfS3(t *testing.T) {
	r := signedGet(t)
	r.Header.Set("X-Amz-Tagging", "a=b")
	r.Header.Set("X-Amz-Copy-Source", "a/b")
	_, err := exampleVerifier().Verify(r)
	if got := wantRefused(t, err, s3err.AccessDenied, "").Field("HeadersNotSigned"); got != "x-amz-copy-source, x-amz-tagging" {
		t.Error(got)
	}
	v := exampleVerifier()
	v.Region = "eu-central-1"
	_, err = v.Verify(signedGet(t))
	if got := wantRefused(t, err, s3err.AuthorizationHeaderMalformed, "").Field("Region"); got != "eu-central-1" {
		t.Error(got)
	}
	v = exampleVerifier()
	v.Secret = func(string) (string, bool) { return "another", true }
	_, err = v.Verify(signedGet(t))
	got := wantRefused(t, err, s3err.SignatureDoesNotMatch, "")
	if got.Field("AWSAccessKeyId") != exampleID || !strings.HasPrefix(got.Field("CanonicalRequest"), "GET\n/bucket/key\nversionId=1\nhost:s3.test\n") ||
		!strings.HasPrefix(got.Field("StringToSign"), algorithm+"\n20130524T000000Z\n") {
		t.Errorf("%+v", got.Fields)
	}
}

func TestARequestIsGoodForFifteenMinutesEitherWay(t *testing.T) {
	for _, c := range []struct {
		late time.Duration
		good bool
	}{{0, true}, {15 * time.Minute, true}, {-15 * time.Minute, true}, {15*time.Minute + time.Second, false}, {-15*time.Minute - time.Second, false}, {5 * 24 * time.Hour, false}} {
		v := exampleVerifier()
		v.Now = func() time.Time { return exampleTime.Add(c.late) }
		_, err := v.Verify(signedGet(t))
		if c.good != (err == nil) {
			t.Errorf("%v late: %v", c.late, err)
		}
		if !c.good {
			e := wantRefused(t, err, s3err.RequestTimeTooSkewed, "The difference between the request time and the current time is too large.")
			if e.Field("RequestTime") != "20130524T000000Z" || e.Field("ServerTime") == "" || e.Field("MaxAllowedSkewMilliseconds") != "900000" {
				t.Errorf("%+v", e.Fields)
			}
		}
	}
}

func TestADateHeaderWillDoForXAmzDate(t *testing.T) {
	r := httptest.NewRequest("GET", "http://s3.test/b/k", nil)
	r.Header.Set("Date", exampleTime.Format(http.TimeFormat))
	r.Header.Set("X-Amz-Content-Sha256", emptySum)
	names := []string{"date", "host", "x-amz-content-sha256"}
	text, err := appendCanonical(nil, r, "", names, emptySum)
	if err != nil {
		t.Fatal(err)
	}
	c := chain{key: signingKey(exampleSecret, "20130524", "us-east-1"), stamp: "20130524T000000Z", scope: "20130524/us-east-1/s3/aws4_request"}
	r.Header.Set("Authorization", algorithm+" Credential="+exampleScope+", SignedHeaders="+strings.Join(names, ";")+", Signature="+c.mac(c.stringToSign(text)))
	if _, err := exampleVerifier().Verify(r); err != nil {
		t.Error(err)
	}
}

func TestARequestWithoutAuthenticationIsNobodys(t *testing.T) {
	auth, err := exampleVerifier().Verify(httptest.NewRequest("GET", "http://s3.test/b/k?prefix=a;b", nil))
	if err != nil || auth.AccessKeyID != "" || auth.Presigned {
		t.Errorf("%+v: %v", auth, err)
	}
}

// presign gives a URL signed at exampleTime for an hour, its parameters changed
// before the signature.
func presign(t *testing.T, change func(url.Values), header http.Header) *http.Request {
	t.Helper()
	r := httptest.NewRequest("GET", "http://s3.test/bucket/a%20key", nil)
	q := url.Values{"X-Amz-Expires": {"3600"}, "versionId": {"1"}}
	if change != nil {
		change(q)
	}
	r.URL.RawQuery = q.Encode()
	for name, values := range header {
		r.Header[name] = values
	}
	creds := aws.Credentials{AccessKeyID: exampleID, SecretAccessKey: exampleSecret}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true; o.DisableHeaderHoisting = true })
	signed, _, err := signer.PresignHTTP(context.Background(), creds, r, UnsignedPayload, "s3", "us-east-1", exampleTime)
	if err != nil {
		t.Fatal(err)
	}
	out := httptest.NewRequest("GET", signed, nil)
	for name, values := range header {
		out.Header[name] = values
	}
	return out
}

func TestAPresignedURLThatDoesNotFitIsRefused(t *testing.T) {
	query := func(name, value string) func(*http.Request) {
		return func(r *http.Request) {
			q := r.URL.Query()
			q.Set(name, value)
			if value == "" {
				q.Del(name)
			}
			r.URL.RawQuery = q.Encode()
		}
	}
	const credentialError = "Error parsing the X-Amz-Credential parameter; "
	for name, c := range map[string]struct {
		change func(*http.Request)
		want   *s3err.Error
		text   string
	}{
		"no algorithm":           {query("X-Amz-Algorithm", ""), s3err.AuthorizationQueryParametersError, "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."},
		"no credential":          {query("X-Amz-Credential", ""), s3err.AuthorizationQueryParametersError, s3err.AuthorizationQueryParametersError.Message},
		"no date":                {query("X-Amz-Date", ""), s3err.AuthorizationQueryParametersError, s3err.AuthorizationQueryParametersError.Message},
		"no expiry":              {query("X-Amz-Expires", ""), s3err.AuthorizationQueryParametersError, s3err.AuthorizationQueryParametersError.Message},
		"no signed headers":      {query("X-Amz-SignedHeaders", ""), s3err.AuthorizationQueryParametersError, s3err.AuthorizationQueryParametersError.Message},
		"no signature":           {query("X-Amz-Signature", ""), s3err.AuthorizationQueryParametersError, s3err.AuthorizationQueryParametersError.Message},
		"a small signature":      {func(r *http.Request) { r.URL.RawQuery = "x-amz-signature=abc" }, s3err.AuthorizationQueryParametersError, ""},
		"the expiry twice":       {func(r *http.Request) { r.URL.RawQuery += "&X-Amz-Expires=604800" }, s3err.AuthorizationQueryParametersError, ""},
		"another algorithm":      {query("X-Amz-Algorithm", "AWS4-SHA256"), s3err.AuthorizationQueryParametersError, `X-Amz-Algorithm only supports "AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256"`},
		"version 4a":             {query("X-Amz-Algorithm", algorithmV4a), s3err.AuthorizationQueryParametersError, `X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"`},
		"a bad credential":       {query("X-Amz-Credential", "access/hello/world"), s3err.AuthorizationQueryParametersError, credentialError + `the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".`},
		"another service":        {query("X-Amz-Credential", exampleID+"/20130524/us-east-1/sns/aws4_request"), s3err.AuthorizationQueryParametersError, credentialError + `incorrect service "sns". This endpoint belongs to "s3".`},
		"another terminator":     {query("X-Amz-Credential", exampleID+"/20130524/us-east-1/s3/aws5_request"), s3err.AuthorizationQueryParametersError, credentialError + `incorrect terminal "aws5_request". This endpoint uses "aws4_request".`},
		"a bad day":              {query("X-Amz-Credential", exampleID+"/32234Z34/us-east-1/s3/aws4_request"), s3err.AuthorizationQueryParametersError, credentialError + `incorrect date format "32234Z34". This date in the credential must be in the format "yyyyMMdd".`},
		"another region":         {query("X-Amz-Credential", exampleID+"/20130524/eu-west-1/s3/aws4_request"), s3err.AuthorizationQueryParametersError, credentialError + "the region \"eu-west-1\" is wrong; expecting \"us-east-1\""},
		"another day":            {query("X-Amz-Credential", exampleID+"/20060102/us-east-1/s3/aws4_request"), s3err.AuthorizationQueryParametersError, `Invalid credential date "20060102". This date is not the same as X-Amz-Date: "20130524".`},
		"an unknown access key":  {query("X-Amz-Credential", "nobody/20130524/us-east-1/s3/aws4_request"), s3err.InvalidAccessKeyId, ""},
		"a bad date":             {query("X-Amz-Date", "2013-05-24"), s3err.AuthorizationQueryParametersError, `X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`},
		"an expiry in words":     {query("X-Amz-Expires", "soon"), s3err.AuthorizationQueryParametersError, "X-Amz-Expires should be a number"},
		"a negative expiry":      {query("X-Amz-Expires", "-3"), s3err.AuthorizationQueryParametersError, "X-Amz-Expires must be non-negative"},
		"no time at all":         {query("X-Amz-Expires", "0"), s3err.AccessDenied, "Request has expired."},
		"more than a number has": {query("X-Amz-Expires", "99999999999999999999"), s3err.AuthorizationQueryParametersError, "X-Amz-Expires should be a number"},
		"more than a week":       {query("X-Amz-Expires", "604801"), s3err.AuthorizationQueryParametersError, "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds"},
		"a longer expiry":        {query("X-Amz-Expires", "7200"), s3err.SignatureDoesNotMatch, ""},
		"another version":        {query("versionId", "2"), s3err.SignatureDoesNotMatch, ""},
		"another method":         {func(r *http.Request) { r.Method = "DELETE" }, s3err.SignatureDoesNotMatch, ""},
		"a forged signature":     {query("X-Amz-Signature", strings.Repeat("0", 64)), s3err.SignatureDoesNotMatch, ""},
		"a session token":        {query("X-Amz-Security-Token", "my_token"), s3err.InvalidToken, "The provided token is malformed or otherwise invalid."},
		"an unsigned header":     {func(r *http.Request) { r.Header.Set("X-Amz-Acl", "public-read") }, s3err.AccessDenied, "There were headers present in the request which were not signed"},
		"another body hash":      {func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", emptySum) }, s3err.SignatureDoesNotMatch, ""},
		"signature versions":     {query("Signature", "x"), s3err.InvalidArgument, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := presign(t, nil, nil)
			if _, err := exampleVerifier().Verify(r); err != nil {
				t.Fatal("before the change:", err)
			}
			c.change(r)
			_, err := exampleVerifier().Verify(r)
			wantRefused(t, err, c.want, c.text)
		})
	}
}

func TestAPresignedURLLivesFromItsDateToItsExpiry(t *testing.T) {
	r := presign(t, nil, http.Header{"X-Amz-Meta-A": {"b"}})
	for _, c := range []struct {
		late time.Duration
		text string
	}{
		{0, ""}, {59*time.Minute + 59*time.Second, ""}, {-15 * time.Minute, ""},
		{time.Hour, "Request has expired."}, {30 * 24 * time.Hour, "Request has expired."},
		{-15*time.Minute - time.Second, "Request is not yet valid"},
	} {
		v := exampleVerifier()
		v.Now = func() time.Time { return exampleTime.Add(c.late) }
		_, err := v.Verify(r)
		if c.text == "" {
			if err != nil {
				t.Errorf("%v late: %v", c.late, err)
			}
			continue
		}
		e := wantRefused(t, err, s3err.AccessDenied, c.text)
		if e.Field("Expires") != "2013-05-24T01:00:00Z" || e.Field("ServerTime") == "" || c.late > 0 && e.Field("X-Amz-Expires") != "3600" {
			t.Errorf("%+v", e.Fields)
		}
	}
}

func TestTheWholeWeekIsAllowed(t *testing.T) {
	if _, err := exampleVerifier().Verify(presign(t, func(q url.Values) { q.Set("X-Amz-Expires", "604800") }, nil)); err != nil {
		t.Error(err)
	}
}
