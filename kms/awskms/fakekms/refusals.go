package fakekms

import (
	"fmt"
	"net/http"
	"strings"
)

// refusal is an error as AWS's JSON protocol has it.
type refusal struct {
	code, message string
}

func (r *refusal) Error() string { return r.code }

func refuse(code, format string, args ...any) error {
	return &refusal{code, fmt.Sprintf(format, args...)}
}

// statuses are those that AWS documents of other than 400, for KMS and of all services.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_ReEncrypt.html#API_ReEncrypt_Errors
// https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html
// https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
var statuses = map[string]int{
	"DependencyTimeoutException": http.StatusInternalServerError,
	"KeyUnavailableException":    http.StatusInternalServerError,
	"KMSInternalException":       http.StatusInternalServerError,
	"InternalFailure":            http.StatusInternalServerError,
	"ServiceUnavailable":         http.StatusServiceUnavailable,
	"RequestTimeoutException":    http.StatusRequestTimeout,

	"NotAuthorized":               http.StatusUnauthorized,
	"AccessDeniedException":       http.StatusForbidden,
	"ExpiredTokenException":       http.StatusForbidden,
	"IncompleteSignature":         http.StatusForbidden,
	"MissingAuthenticationToken":  http.StatusForbidden,
	"OptInRequired":               http.StatusForbidden,
	"UnrecognizedClientException": http.StatusForbidden,
	"UnknownOperationException":   http.StatusNotFound,
}

func (r *refusal) status() int {
	if status, ok := statuses[r.code]; ok {
		return status
	}
	return http.StatusBadRequest
}

// Deny has an operation ("Encrypt"), or all on a key, refused.
func (s *Server) Deny(operationOrARN string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied[operationOrARN] = true
}

// Fail has the next calls of an operation, or of all for "", answered with an error, whose
// status is the documented one. It takes the place of what was set for the same before.
func (s *Server) Fail(operation string, calls int, code, message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures[operation] = &failure{calls, refusal{code, message}}
}

// Throttle has the next n calls refused.
func (s *Server) Throttle(n int) {
	s.Fail("", n, "ThrottlingException", "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.")
}

type failure struct {
	calls  int
	answer refusal
}

// failing is the error that Fail has set for a call.
func (s *Server) failing(operation string) error {
	for _, name := range []string{operation, ""} {
		if f := s.failures[name]; f != nil && f.calls > 0 {
			f.calls--
			return &f.answer
		}
	}
	return nil
}

// usable is as AWS's table of the states has it, with its texts.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html#key-state-table
func (k *key) usable(name string) error {
	switch k.state {
	case Enabled, Updating:
		return nil
	case Disabled:
		return refuse("DisabledException", "%s is disabled.", name)
	case PendingDeletion:
		return refuse("KMSInvalidStateException", "%s is pending deletion.", name)
	case PendingReplicaDeletion:
		return refuse("KMSInvalidStateException", "%s is pending replica deletion.", name)
	case PendingImport:
		return refuse("KMSInvalidStateException", "%s is pending import because no key material has ever been imported or one of the imported key materials is deleted or expired.", name)
	}
	return refuse("KMSInvalidStateException", "%s is %s.", name, strings.ToLower(k.state)) // unavailable, creating
}
