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
// them: that of credential_process has everything that the program printed. So an error about
// credentials may contain only text that is known to contain none.

// credentials are those of another provider; its errors are told from KMS's own.
type credentials struct{ aws.CredentialsProvider }

func (c credentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	got, err := c.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, &noCredentials{err}
	}
	return got, nil
}

const lookedFor = "s3proxy looked for AWS_ACCESS_KEY_ID, the profile in the shared configuration, AWS_WEB_IDENTITY_TOKEN_FILE, AWS_CONTAINER_CREDENTIALS_*, and the instance's role"

// untyped are failures that can be told from others only by a part of their text.
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

// serverSaid describes the answer of a server that is not AWS's: only its status.
func serverSaid(err error) (text string, class error) {
	var answered interface{ HTTPStatusCode() int }
	if !errors.As(err, &answered) || answered.HTTPStatusCode() == 0 {
		return "gives no readable answer", kms.ErrUnavailable
	}
	status := answered.HTTPStatusCode()
	return fmt.Sprintf("answers %d", status), refusal(status, "")
}

// serviceSaid describes what a service of AWS, such as STS or SSO, answered, or why it was not
// reached.
func serviceSaid(err error) (text string, class error) {
	if said := answerOf(err); said.status != 0 && said.code != "" {
		return fmt.Sprintf("%s: %s (request %s)", said.code, said.text, said.request), refusal(said.status, said.code)
	}
	var sent *url.Error
	if errors.As(err, &sent) {
		return sent.Err.Error(), kms.ErrUnavailable
	}
	return "there is no readable answer", kms.ErrUnavailable
}

// refusal gives the class of an answer about credentials: every status that blames the request is
// a refusal, except for the codes that ask to try again.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html#API_AssumeRoleWithWebIdentity_Errors
func refusal(status int, code string) error {
	_, throttled := retry.DefaultThrottleErrorCodes[code]
	if throttled || code == "IDPCommunicationError" || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests ||
		status < http.StatusBadRequest || status >= http.StatusInternalServerError {
		return kms.ErrUnavailable
	}
	return kms.ErrDenied
}
