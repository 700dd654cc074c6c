package sigv4

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// maxFormAge is how old a form's x-amz-date may be, as versitygw has it from S3;
// its policy may expire earlier.
const maxFormAge = time.Hour

// formAuthFields sign a form; with one of them all are needed. formAuthFieldsV2 are those of
// version 2, as S3 writes them.
var (
	formAuthFields   = []string{"policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"}
	formAuthFieldsV2 = []string{"AWSAccessKeyId", "policy", "signature"}
)

// MissingFormField is the refusal of a POST form without a field that it needs.
func MissingFormField(name string) error {
	return s3err.InvalidArgument.WithMessage("Bucket POST must contain a field named '%s'.  If it is specified, please check the order of the fields.", name).
		Argument(name, "")
}

// VerifyForm checks the signature of a POST form: that of its policy, which then
// has to allow everything else in the form (Policy.Allow). The fields are by
// their names in lower case. A form without any field of authentication has no
// policy, and an Auth without an AccessKeyID.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-authentication-HTTPPOST.html
func (v *Verifier) VerifyForm(fields map[string]string) (*Auth, *Policy, error) {
	if v.Anyone != "" {
		return &Auth{AccessKeyID: v.Anyone}, nil, nil
	}
	if hasAny(fields, "awsaccesskeyid", "signature") {
		return v.verifyFormV2(fields)
	}
	signed := false
	for _, name := range formAuthFields {
		_, given := fields[name]
		signed = signed || given
	}
	if !signed {
		return &Auth{}, nil, nil
	}
	for _, name := range formAuthFields {
		if _, given := fields[name]; !given {
			return nil, nil, MissingFormField(name)
		}
	}
	if a := fields["x-amz-algorithm"]; a != algorithm {
		return nil, nil, s3err.InvalidArgument.WithMessage("Only AWS4-HMAC-SHA256 is supported").Argument("X-Amz-Algorithm", a)
	}
	stamp := fields["x-amz-date"]
	date, err := time.Parse(timeFormat, stamp)
	if err != nil {
		return nil, nil, s3err.InvalidArgument.WithMessage("X-Amz-Date must be formated via ISO8601 Long format").Argument("X-Amz-Date", stamp)
	}
	if v.now().Sub(date) > maxFormAge {
		return nil, nil, errPolicyExpired
	}
	given := fields["x-amz-credential"]
	c, why := parseCredential(given)
	switch {
	case why != "":
	case v.Region != "" && c.region != v.Region:
		why = fmt.Sprintf("the region %q is wrong; expecting %q", c.region, v.Region)
	case c.date != stamp[:8]:
		why = fmt.Sprintf("Invalid credential date %q. This date is not the same as X-Amz-Date: %q.", c.date, stamp[:8])
	}
	if why != "" {
		return nil, nil, s3err.InvalidArgument.WithMessage("%s", why).Argument("x-amz-credential", given)
	}
	key, err := v.key(c, fields["x-amz-security-token"])
	if err != nil {
		return nil, nil, err
	}
	encoded := fields["policy"]
	signer := chain{key: key.raw}
	if !equal(signer.mac(encoded), fields["x-amz-signature"]) {
		return nil, nil, s3err.SignatureDoesNotMatch.With(
			s3err.Field{Name: "AWSAccessKeyId", Value: c.accessKeyID},
			s3err.Field{Name: "StringToSign", Value: encoded},
			s3err.Field{Name: "SignatureProvided", Value: fields["x-amz-signature"]},
			s3err.Field{Name: "StringToSignBytes", Value: fmt.Sprintf("% x", encoded)})
	}
	policy, err := parsePolicy(encoded, v.now())
	if err != nil {
		return nil, nil, err
	}
	return &Auth{AccessKeyID: c.accessKeyID}, policy, nil
}

// verifyFormV2 checks the signature of a policy with version 2.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/HTTPPOSTForms.html
func (v *Verifier) verifyFormV2(fields map[string]string) (*Auth, *Policy, error) {
	if hasAny(fields, formAuthFields[1:]...) {
		return nil, nil, errOneMechanism
	}
	if v.V2 < V2All {
		return nil, nil, errUnsupportedMechanism
	}
	for _, name := range formAuthFieldsV2 {
		if fields[strings.ToLower(name)] == "" {
			return nil, nil, MissingFormField(name)
		}
	}
	id, encoded := fields["awsaccesskeyid"], fields["policy"]
	secret, err := v.secret(id, fields["x-amz-security-token"])
	if err != nil {
		return nil, nil, err
	}
	if !equal(macV2(secret, encoded), fields["signature"]) {
		return nil, nil, s3err.SignatureDoesNotMatch.With(
			s3err.Field{Name: "AWSAccessKeyId", Value: id},
			s3err.Field{Name: "StringToSign", Value: encoded})
	}
	policy, err := parsePolicy(encoded, v.now())
	if err != nil {
		return nil, nil, err
	}
	return &Auth{AccessKeyID: id, V2: true}, policy, nil
}

func hasAny(fields map[string]string, names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { _, given := fields[name]; return given })
}

// FormAuthField tells whether a field of a form is for VerifyForm alone.
func FormAuthField(name string) bool {
	return name == "x-amz-security-token" || slices.Contains(formAuthFields, name)
}
