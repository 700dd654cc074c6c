package awskms

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"

	"github.com/s3proxy/s3proxy/kms"
)

// Credentials come from programs, files and servers of all kinds, and the SDK's errors quote
// them: the one of credential_process has all that the program printed. So of an error in
// getting credentials nothing is told but what is known to hold none.

// credentials are those of another provider; its errors are told from KMS's own.
type credentials struct{ aws.CredentialsProvider }

func (c credentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	got, err := c.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, &noCredentials{err}
	}
	return got, nil
}

const lookedFor = "Looked for were AWS_ACCESS_KEY_ID, the profile in the shared configuration, AWS_WEB_IDENTITY_TOKEN_FILE, AWS_CONTAINER_CREDENTIALS_*, and the instance's role"

// untyped are failures that can be told from others by a part of their texts alone.
var untyped = []struct{ part, text string }{
	{"failed to retrieve jwt", "the token of the web identity (AWS_WEB_IDENTITY_TOKEN_FILE) cannot be read"},
	{"resolve auth token", "the container's authorization token (AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE) cannot be used"},
	{"the SSO session has expired", "the SSO session has ended, or there is none: aws sso login"},
	{"cached SSO token file", "the SSO session has ended, or there is none: aws sso login"},
	{"cached SSO token is expired", "the SSO session has ended, or there is none: aws sso login"},
	{"please reauthenticate", "the session of aws login has ended, or there is none"},
	{"access disabled to EC2 IMDS", "none are configured, and the instance metadata service is switched off (AWS_EC2_METADATA_DISABLED). " + lookedFor},
	{"EC2 IMDS role credentials, api error", "the instance metadata service has none for the instance's role"},
}

// serverSaid tells of a server that is not AWS's: its status alone.
func serverSaid(err error) (text string, class error) {
	var answered interface{ HTTPStatusCode() int }
	if !errors.As(err, &answered) || answered.HTTPStatusCode() == 0 {
		return "gives no answer that can be read", kms.ErrUnavailable
	}
	status := answered.HTTPStatusCode()
	return fmt.Sprintf("answers %d", status), refusal(status, "")
}

// serviceSaid tells what a service of AWS has answered, such as STS or SSO, or why it was
// not reached.
func serviceSaid(err error) (text string, class error) {
	if said := answerOf(err); said.status != 0 && said.code != "" {
		return fmt.Sprintf("%s: %s (request %s)", said.code, said.text, said.request), refusal(said.status, said.code)
	}
	var sent *url.Error
	if errors.As(err, &sent) {
		return sent.Err.Error(), kms.ErrUnavailable
	}
	return "no answer that can be read", kms.ErrUnavailable
}

// refusal is the class of an answer of who gives credentials: all that blames the request
// is a refusal, but for two codes that ask to try again.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html#API_AssumeRoleWithWebIdentity_Errors
func refusal(status int, code string) error {
	_, throttled := retry.DefaultThrottleErrorCodes[code]
	if throttled || code == "IDPCommunicationError" || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests ||
		status < http.StatusBadRequest || status >= http.StatusInternalServerError {
		return kms.ErrUnavailable
	}
	return kms.ErrDenied
}
