package awskms

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"

	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"
	"github.com/s3proxy/s3proxy/kms"
)

// The codes with which Encrypt, Decrypt, ReEncrypt and DescribeKey answer, and those of all of
// AWS's services, some of which are spelt in two ways. A code that is missing here is denied if
// the status says so, and else unavailable.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_ReEncrypt.html#API_ReEncrypt_Errors
// https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html
// https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
var classes = map[string]error{
	"NotFoundException": kms.ErrNotFound,
	"DisabledException": kms.ErrNotFound,

	"AccessDeniedException":               kms.ErrDenied,
	"NotAuthorized":                       kms.ErrDenied,
	"OptInRequired":                       kms.ErrDenied,
	"UnrecognizedClientException":         kms.ErrDenied,
	"InvalidClientTokenId":                kms.ErrDenied,
	"InvalidSignatureException":           kms.ErrDenied,
	"IncompleteSignature":                 kms.ErrDenied,
	"IncompleteSignatureException":        kms.ErrDenied,
	"MissingAuthenticationToken":          kms.ErrDenied,
	"MissingAuthenticationTokenException": kms.ErrDenied,
	"ExpiredToken":                        kms.ErrDenied,
	"ExpiredTokenException":               kms.ErrDenied,
	"RequestExpired":                      kms.ErrDenied,
	"InvalidGrantTokenException":          kms.ErrDenied,
	"InvalidKeyUsageException":            kms.ErrDenied,
	// The key cannot do this because of its origin or key store.
	// https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html#key-state-table
	"UnsupportedOperationException": kms.ErrDenied,
	// The server is not KMS.
	"UnknownOperationException": kms.ErrDenied,

	"InvalidCiphertextException": kms.ErrInvalid,
	"IncorrectKeyException":      kms.ErrInvalid,
	"ValidationException":        kms.ErrInvalid,
	"ValidationError":            kms.ErrInvalid,
	"InvalidArnException":        kms.ErrInvalid,
}

// classify puts the error of a call into one of the classes of package kms, with AWS's code,
// message and request id. keys are those that the call was about.
func (k *Key) classify(ctx context.Context, operation string, err error, keys ...string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	about := strings.Join(keys, " to ") + ": " + operation
	var none *noCredentials
	if errors.As(err, &none) {
		text, class := none.tell()
		return fmt.Errorf("%w: %s: %s", class, about, text)
	}
	said := answerOf(err)
	if said.code == "" {
		// No answer. The error may be a deadline that is not the caller's.
		return fmt.Errorf("%w: %s: %s", kms.ErrUnavailable, about, err.Error())
	}
	class, known := classes[said.code]
	switch {
	case said.code == invalidState:
		var why string
		if why, class = k.askState(ctx, keys[0], said.text); ctx.Err() != nil {
			return ctx.Err()
		}
		said.text = strings.TrimSuffix(said.text, ".") + why
	case known:
	case said.status == http.StatusUnauthorized, said.status == http.StatusForbidden:
		class = kms.ErrDenied
	default:
		class = kms.ErrUnavailable
	}
	return fmt.Errorf("%w: %s: %s: %s (request %s)", class, about, said.code, said.text, said.request)
}

// answer is an error that a service of AWS answered with; its code is "" if none answered.
type answer struct {
	code, text, request string
	status              int
}

func answerOf(err error) (a answer) {
	var resp *awshttp.ResponseError
	if errors.As(err, &resp) {
		a.status, a.request = resp.HTTPStatusCode(), resp.ServiceRequestID()
	}
	var said smithy.APIError
	if errors.As(err, &said) {
		// The further lines of a refused signature are the whole request, with its session
		// token.
		a.code = said.ErrorCode()
		a.text, _, _ = strings.Cut(said.ErrorMessage(), "\n")
	}
	if a.text == "" {
		a.text = meanings[a.code]
	}
	return a
}

// meanings are for answers without a message.
var meanings = map[string]string{
	"NotFoundException":          "there is no such key or alias",
	"DisabledException":          "the key is disabled",
	"AccessDeniedException":      "neither a key policy nor IAM allows it",
	"InvalidCiphertextException": "the blob or its context was changed",
	"IncorrectKeyException":      "another key made the blob",
	"UnknownOperationException":  "the server is not KMS: is the endpoint right?",
}

// invalidState is the code for a key that cannot be used now, for good or not. For a key in a
// custom or external key store it stands for any failure, including a timeout.
// https://docs.aws.amazon.com/kms/latest/developerguide/xks-troubleshooting.html
const invalidState = "KMSInvalidStateException"

// askState asks for the state of the key that AWS says is in a wrong one: the key in AWS's
// message, else key. why is to follow that message.
func (k *Key) askState(ctx context.Context, key, message string) (why string, class error) {
	if strings.Contains(message, "specified ciphertext or additional authenticated data is corrupted") {
		return "", kms.ErrInvalid // an external key store says this of a blob or a context
	}
	if named, _, _ := strings.Cut(message, " "); strings.HasPrefix(named, "arn:") {
		key = named
	}
	m, err := k.describe(ctx, key)
	switch {
	case err == nil && m.KeyState == types.KeyStateEnabled:
		return ": the key is enabled, but its key store failed", kms.ErrUnavailable
	case err == nil:
		return ": the key is " + stateText(m.KeyState), stateClass(m.KeyState)
	case strings.Contains(message, "pending"): // it may be that DescribeKey is not allowed
		return "", kms.ErrNotFound
	}
	return "", kms.ErrUnavailable
}

func isAccessDenied(err error) bool {
	var none *noCredentials
	return !errors.As(err, &none) && answerOf(err).code == "AccessDeniedException"
}

// stateClass gives the class of using a key in a state that does not allow it.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
func stateClass(state types.KeyState) error {
	switch state {
	case types.KeyStateDisabled, types.KeyStatePendingDeletion, types.KeyStatePendingReplicaDeletion, types.KeyStatePendingImport:
		return kms.ErrNotFound
	}
	return kms.ErrUnavailable // a temporary state
}

// stateText says what to do about a key that cannot be used.
func stateText(state types.KeyState) string {
	switch state {
	case types.KeyStateDisabled:
		return "disabled: enable it again, or name another"
	case types.KeyStatePendingDeletion, types.KeyStatePendingReplicaDeletion:
		return "pending deletion: cancel that now, or everything that only it can open is lost"
	case types.KeyStatePendingImport:
		return "waiting for its key material to be imported"
	case types.KeyStateUnavailable:
		return "unavailable: its custom key store is not connected"
	}
	return fmt.Sprintf("in state %s", state)
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
		return none + "the output of credential_process is not what AWS documents", kms.ErrDenied
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
	// The innermost operation is the one that failed: a role may be assumed through others.
	var at *smithy.OperationError
	for inner := e.cause; errors.As(inner, &at); inner = at.Err {
	}
	switch {
	case at == nil:
		return none + "their provider failed; run aws sts get-caller-identity in the same environment to learn more. " + lookedFor, kms.ErrUnavailable
	case at.ServiceID == "ec2imds":
		text, class = serverSaid(at.Err)
		return none + "none are configured, and the instance metadata service " + text + ". " + lookedFor, class
	}
	text, class = serviceSaid(at.Err)
	return fmt.Sprintf("%s%s %s: %s", none, at.ServiceID, at.OperationName, text), class
}
