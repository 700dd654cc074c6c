package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/s3proxy/s3proxy/kms"
)

// What Vault says in a 400, from sdk/helper/keysutil and builtin/logical/transit. These three
// mean that the version or the key is gone; all other texts are about the blob.
const (
	textTooOld = "disallowed by policy (too old)"
	textTooNew = "version is too new" // from a Vault that was restored from an older copy
	textNoKey  = "encryption key not found"
)

// textSealed is what Vault says in a 503.
const textSealed = "Vault is sealed"

// classify puts an error of doing something with the key into one of the classes of package kms.
// Its text has Vault's reasons, which repeat nothing of the request.
func (k *Key) classify(ctx context.Context, doing string, err error) error {
	class, reason := classOf(ctx, err)
	if class == nil {
		return reason
	}
	return fmt.Errorf("%w: %s: %s: %w", class, k.URI(), doing, reason)
}

// classOf gives the class of an error of Vault's client, and the reason to report. The class is
// nil if the error is the context's, or already has a class.
func classOf(ctx context.Context, err error) (class, reason error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	for _, class := range []error{kms.ErrUnavailable, kms.ErrDenied, kms.ErrNotFound, kms.ErrInvalid} {
		if errors.Is(err, class) {
			return nil, err
		}
	}
	var refused *api.ResponseError
	if !errors.As(err, &refused) {
		// No answer, or one that is not Vault's. The error may be the library's own deadline;
		// to the caller it must not look like the caller's.
		return kms.ErrUnavailable, errors.New(err.Error())
	}
	said := strings.Join(strings.Fields(strings.Join(refused.Errors, "; ")), " ")
	if refused.StatusCode == statusForeign {
		return kms.ErrUnavailable, errors.New(said)
	}
	if said == "" {
		said = http.StatusText(refused.StatusCode)
	}
	reason = fmt.Errorf("answer %d from Vault: %s", refused.StatusCode, said)
	switch status := refused.StatusCode; {
	case status == http.StatusBadRequest && (strings.Contains(said, textTooOld) || strings.Contains(said, textTooNew) || strings.Contains(said, textNoKey)):
		return kms.ErrNotFound, reason
	case status == http.StatusBadRequest:
		return kms.ErrInvalid, reason
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return kms.ErrDenied, reason
	case status == http.StatusNotFound:
		return kms.ErrNotFound, fmt.Errorf("answer 404 from Vault: there is no such key, or no transit engine at this mount (%s)", said)
	case status == http.StatusMethodNotAllowed:
		return kms.ErrNotFound, fmt.Errorf("answer 405 from Vault: this is not a transit engine (%s)", said)
	}
	// 412 and 429 are temporary, 472 and 473 standbys, 501 not initialized, 503 sealed.
	return kms.ErrUnavailable, reason
}

func isDenied(err error) bool {
	var refused *api.ResponseError
	return errors.As(err, &refused) && refused.StatusCode == http.StatusForbidden
}
