package awskms

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"github.com/s3proxy/s3proxy/kms"
)

// The codes that Encrypt, Decrypt, ReEncrypt and DescribeKey answer with, and those of all
// of AWS's services. What is in neither list is unavailable.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_ReEncrypt.html#API_ReEncrypt_Errors
// https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html
var classes = map[string]error{
	"NotFoundException":        kms.ErrNotFound,
	"DisabledException":        kms.ErrNotFound,
	"KMSInvalidStateException": kms.ErrNotFound, // pending deletion or import, or its store is away

	"AccessDeniedException":       kms.ErrDenied,
	"NotAuthorized":               kms.ErrDenied,
	"OptInRequired":               kms.ErrDenied,
	"UnrecognizedClientException": kms.ErrDenied,
	"InvalidClientTokenId":        kms.ErrDenied,
	"InvalidSignatureException":   kms.ErrDenied,
	"IncompleteSignature":         kms.ErrDenied,
	"MissingAuthenticationToken":  kms.ErrDenied,
	"ExpiredTokenException":       kms.ErrDenied,
	"RequestExpired":              kms.ErrDenied,
	"InvalidGrantTokenException":  kms.ErrDenied,
	"InvalidKeyUsageException":    kms.ErrDenied,

	"InvalidCiphertextException": kms.ErrInvalid,
	"IncorrectKeyException":      kms.ErrInvalid,
	"ValidationException":        kms.ErrInvalid,
	"ValidationError":            kms.ErrInvalid,
	"InvalidArnException":        kms.ErrInvalid,
}

// classify puts an error of a call into one of the classes of package kms, with AWS's code,
// message and request id.
func (k *Key) classify(ctx context.Context, operation, key string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	class := kms.ErrUnavailable
	var said smithy.APIError
	if !errors.As(err, &said) {
		// No answer. Its text may be of a deadline that is not the caller's.
		return fmt.Errorf("%w: %s: %s", class, key, err.Error())
	}
	if known, ok := classes[said.ErrorCode()]; ok {
		class = known
	}
	text := said.ErrorMessage()
	if text == "" {
		text = meanings[said.ErrorCode()]
	}
	var resp *awshttp.ResponseError
	status, request := 0, ""
	if errors.As(err, &resp) {
		status, request = resp.HTTPStatusCode(), resp.ServiceRequestID()
	}
	if class == kms.ErrUnavailable && status == http.StatusForbidden {
		class = kms.ErrDenied
	}
	return fmt.Errorf("%w: %s: %s: %s: %s (request %s)", class, key, operation, said.ErrorCode(), text, request)
}

// meanings are for answers without a message.
var meanings = map[string]string{
	"NotFoundException":          "there is no such key or alias",
	"DisabledException":          "the key is disabled",
	"KMSInvalidStateException":   "the key is pending deletion or import, or its key store is away",
	"AccessDeniedException":      "neither a key policy nor IAM allows it",
	"InvalidCiphertextException": "the blob or its context was changed",
	"IncorrectKeyException":      "another key made the blob",
}

// classifyOf is classify for an exchange about what the key with this ARN has made. That
// there is no such key says that the name was changed, when it is not the key's own.
func (k *Key) classifyOf(ctx context.Context, operation, id string, err error) error {
	k.mu.Lock()
	own := k.own
	k.mu.Unlock()
	var missing *types.NotFoundException
	if ctx.Err() == nil && id != own && errors.As(err, &missing) {
		return fmt.Errorf("%w: %s: %s: NotFoundException: the account has no such key, or has it no more", kms.ErrInvalid, id, operation)
	}
	return k.classify(ctx, operation, id, err)
}

func isAccessDenied(err error) bool {
	var said smithy.APIError
	return errors.As(err, &said) && said.ErrorCode() == "AccessDeniedException"
}

// stateText says what to do about a key that cannot be used.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
func stateText(state types.KeyState) string {
	switch state {
	case types.KeyStateDisabled:
		return "disabled: enable it again, or name another"
	case types.KeyStatePendingDeletion, types.KeyStatePendingReplicaDeletion:
		return "pending deletion: cancel that now, or all that only it opens is lost"
	case types.KeyStatePendingImport:
		return "waiting for its key material to be imported"
	case types.KeyStateUnavailable:
		return "unavailable: its custom key store is not connected"
	}
	return fmt.Sprintf("in state %s", state)
}
