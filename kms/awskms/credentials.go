package awskms

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/aws/smithy-go"

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

// noCredentials keeps its cause from all but tell, also from the SDK: the provider has
// tried again itself.
type noCredentials struct{ cause error }

func (*noCredentials) Error() string { return "no credentials" }

// tell says why there are no credentials: denied where a provider refuses or has none,
// unavailable where it could not be reached.
func (e *noCredentials) tell() (text string, class error) {
	const none = "no credentials: "
	var process *processcreds.ProviderError
	if errors.As(e.cause, &process) {
		var exit *exec.ExitError
		if errors.As(process, &exit) { // the network may be what it lacks
			return none + "credential_process has failed: " + exit.ProcessState.String(), kms.ErrUnavailable
		}
		return none + "what credential_process printed is not what AWS documents of it", kms.ErrDenied
	}
	for _, known := range untyped {
		if strings.Contains(e.cause.Error(), known.part) {
			return none + known.text, kms.ErrDenied
		}
	}
	// The error of endpointcreds has no exported type.
	if strings.Contains(e.cause.Error(), "failed to load credentials") {
		text, class = serverSaid(e.cause)
		return none + "the container's credentials endpoint (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI) " + text, class
	}
	// The innermost is the one that failed: a role may be assumed by way of others.
	var at *smithy.OperationError
	for inner := e.cause; errors.As(inner, &at); inner = at.Err {
	}
	switch {
	case at == nil:
		return none + "their provider has failed; aws sts get-caller-identity says more, in the same environment. " + lookedFor, kms.ErrUnavailable
	case at.ServiceID == "ec2imds":
		text, class = serverSaid(at.Err)
		return none + "none are configured, and the instance metadata service " + text + ". " + lookedFor, class
	}
	text, class = serviceSaid(at.Err)
	return fmt.Sprintf("%s%s %s: %s", none, at.ServiceID, at.OperationName, text), class
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
