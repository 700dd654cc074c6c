package sigv4

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// The policy, key and signature are AWS's own example.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-post-example.html
const (
	examplePolicy = "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9"
	formSigned    = "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"
)

func exampleForm(change map[string]string) map[string]string {
	fields := map[string]string{
		"key": "user/user1/pic.jpg", "acl": "public-read", "content-type": "image/jpeg",
		"success_action_redirect":      "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html",
		"x-amz-meta-uuid":              "14365123651274",
		"x-amz-meta-tag":               "",
		"x-amz-server-side-encryption": "AES256",
		"x-amz-credential":             "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request",
		"x-amz-algorithm":              "AWS4-HMAC-SHA256",
		"x-amz-date":                   "20151229T000000Z",
		"policy":                       examplePolicy,
		"x-amz-signature":              formSigned,
	}
	for name, value := range change {
		if fields[name] = value; value == "-" {
			delete(fields, name)
		}
	}
	return fields
}

func formVerifier(now time.Time) *Verifier {
	return &Verifier{Region: "us-east-1", Now: func() time.Time { return now }, Secret: func(id string) (string, bool) {
		return "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", id == "AKIAIOSFODNN7EXAMPLE"
	}}
}

func TestTheFormOfAWSsExampleIsAllowed(t *testing.T) {
	auth, policy, err := formVerifier(time.Date(2015, 12, 29, 0, 30, 0, 0, time.UTC)).VerifyForm(exampleForm(nil))
	if err != nil || auth.AccessKeyID != "AKIAIOSFODNN7EXAMPLE" {
		t.Fatal(auth, err)
	}
	if err := policy.Allow(exampleForm(nil), "sigv4examplebucket", "user/user1/pic.jpg"); err != nil {
		t.Error(err)
	}
}

func TestAFormThatIsNotWhatWasSignedIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change map[string]string
		bucket string
		late   time.Duration
		want   *s3err.Error
		text   string
	}{
		"another signature":   {change: map[string]string{"x-amz-signature": strings.Repeat("0", 64)}, want: s3err.SignatureDoesNotMatch},
		"another policy":      {change: map[string]string{"policy": examplePolicy[:100] + "A" + examplePolicy[101:]}, want: s3err.SignatureDoesNotMatch},
		"another scope":       {change: map[string]string{"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151228/us-east-1/s3/aws4_request"}, want: s3err.InvalidArgument},
		"another region":      {change: map[string]string{"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/eu-west-1/s3/aws4_request"}, want: s3err.InvalidArgument},
		"another access key":  {change: map[string]string{"x-amz-credential": "A/20151229/us-east-1/s3/aws4_request"}, want: s3err.InvalidAccessKeyId},
		"a session token":     {change: map[string]string{"x-amz-security-token": "t"}, want: s3err.InvalidToken},
		"no policy":           {change: map[string]string{"policy": "-"}, want: s3err.InvalidArgument},
		"no signature":        {change: map[string]string{"x-amz-signature": "-"}, want: s3err.InvalidArgument},
		"old":                 {late: 2 * time.Hour, want: s3err.AccessDenied, text: "Policy expired."},
		"another key":         {change: map[string]string{"key": "user/user2/pic.jpg"}, want: s3err.AccessDenied, text: `failed: ["starts-with", "$key", "user/user1/"]`},
		"another bucket":      {bucket: "other", want: s3err.AccessDenied, text: `failed: ["eq", "$bucket", "sigv4examplebucket"]`},
		"another acl":         {change: map[string]string{"acl": "private"}, want: s3err.AccessDenied, text: `failed: ["eq", "$acl", "public-read"]`},
		"a field that is not": {change: map[string]string{"acl": "-"}, want: s3err.AccessDenied, text: `failed: ["eq", "$acl", "public-read"]`},
		"one type of two":     {change: map[string]string{"content-type": "image/png, text/html"}, want: s3err.AccessDenied, text: "Content-Type"},
		"a field more":        {change: map[string]string{"x-amz-meta-more": ""}, want: s3err.AccessDenied, text: "Extra input fields: x-amz-meta-more"},
	} {
		t.Run(name, func(t *testing.T) {
			fields := exampleForm(c.change)
			bucket := "sigv4examplebucket"
			if c.bucket != "" {
				bucket = c.bucket
			}
			_, policy, err := formVerifier(time.Date(2015, 12, 29, 0, 0, 0, 0, time.UTC).Add(c.late)).VerifyForm(fields)
			if err == nil {
				err = policy.Allow(fields, bucket, fields["key"])
			}
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestAPolicyThatS3DoesNotKnowIsRefused(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const until = `"expiration": "2026-01-02T00:00:00Z"`
	for document, want := range map[string]string{
		`x`:                                   "Invalid JSON.",
		`{` + until + `}`:                     "Policy missing conditions.",
		`{"conditions": []}`:                  "Policy missing expiration.",
		`{` + until + `, "conditions": true}`: "must be a List.",
		`{` + until + `, "conditions": [["in", "$key", "a"]]}`:                     "unknown operation 'in'.",
		`{` + until + `, "conditions": [["eq", "$key", "a", "b"]]}`:                "Invalid eq: wrong number of arguments.",
		`{` + until + `, "conditions": [["eq", "$key", null]]}`:                    "Invalid JSON.",
		`{` + until + `, "conditions": [["content-length-range", -1, 2]]}`:         "Invalid JSON.",
		`{` + until + `, "conditions": [{"a": "b", "c": "d"}]}`:                    "exactly one property",
		`{` + until + `, "conditions": [], "more": 1}`:                             `Unexpected: "more"`,
		`{"expiration": "tomorrow", "conditions": []}`:                             "Invalid 'expiration' value: 'tomorrow'",
		`{"expiration": "2026-01-01T00:00:00Z", "conditions": [["in", "$k", ""]]}`: "Policy expired.",
	} {
		if _, err := parsePolicy(base64.StdEncoding.EncodeToString([]byte(document)), now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", document, err)
		}
	}
}

func TestAFailedConditionIsToldAsS3DoesHoweverItWasWritten(t *testing.T) {
	document := `{"expiration": "2026-01-02T00:00:00Z", "conditions": [{"bucket":"b"},["starts-with","$key",""],["eq","$x-amz-checksum-crc32c","8TDyHg=="]]}`
	p, err := parsePolicy(base64.StdEncoding.EncodeToString([]byte(document)), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	err = p.Allow(map[string]string{"key": "k", "x-amz-checksum-crc32c": "other"}, "b", "k")
	if err == nil || !strings.Contains(err.Error(), `Policy Condition failed: ["eq", "$x-amz-checksum-crc32c", "8TDyHg=="]`) {
		t.Error(err)
	}
}

func TestAPolicyMustNameABucket(t *testing.T) {
	document := `{"expiration": "2026-01-02T00:00:00Z", "conditions": [{"key": "k"}]}`
	p, err := parsePolicy(base64.StdEncoding.EncodeToString([]byte(document)), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Allow(map[string]string{"key": "k"}, "any", "k"); !errors.Is(err, s3err.AccessDenied) {
		t.Error(err)
	}
}

func TestALengthRangeHasBothOfItsEnds(t *testing.T) {
	document := `{"expiration": "2026-01-02T00:00:00Z", "conditions": [["content-length-range", 2, "4"]]}`
	p, err := parsePolicy(base64.RawStdEncoding.EncodeToString([]byte(document)), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	for size, want := range map[int64]error{1: s3err.EntityTooSmall, 2: nil, 4: nil, 5: s3err.EntityTooLarge} {
		if err := p.AllowLength(size); !errors.Is(err, want) {
			t.Errorf("%d: %v", size, err)
		}
	}
}
