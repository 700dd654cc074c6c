package awskms_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/awskms/fakekms"
)

func want(t *testing.T, err, class error, texts ...string) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Errorf("%v, want %v", err, class)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error does not tell %q: %v", text, err)
		}
	}
}

func TestThrottlingPasses(t *testing.T) {
	s := newFake(t)
	key := open(t, "awskms:///"+s.CreateKey("", ""))
	s.Throttle(2)
	opens(t, key, wrap(t, key))
	s.Throttle(1000)
	_, err := key.Wrap(t.Context(), secret, bucket)
	want(t, err, kms.ErrUnavailable, "ThrottlingException")
	s.Throttle(0)
	opens(t, key, wrap(t, key))
}

func TestAnErrorOfAWSHasItsClassAndIsTriedAgainIfThatMayHelp(t *testing.T) {
	const once, fourTimes = 1, 4
	s := newFake(t)
	arn := s.CreateKey("", "")
	for code, c := range map[string]struct {
		class error
		calls int
	}{
		"DependencyTimeoutException":          {kms.ErrUnavailable, fourTimes},
		"KeyUnavailableException":             {kms.ErrUnavailable, fourTimes},
		"KMSInternalException":                {kms.ErrUnavailable, fourTimes},
		"ServiceUnavailable":                  {kms.ErrUnavailable, fourTimes},
		"NotFoundException":                   {kms.ErrNotFound, once},
		"DisabledException":                   {kms.ErrNotFound, once},
		"AccessDeniedException":               {kms.ErrDenied, once},
		"NotAuthorized":                       {kms.ErrDenied, once},
		"UnrecognizedClientException":         {kms.ErrDenied, once},
		"ExpiredTokenException":               {kms.ErrDenied, once},
		"ExpiredToken":                        {kms.ErrDenied, once},
		"IncompleteSignature":                 {kms.ErrDenied, once},
		"IncompleteSignatureException":        {kms.ErrDenied, once},
		"MissingAuthenticationToken":          {kms.ErrDenied, once},
		"MissingAuthenticationTokenException": {kms.ErrDenied, once},
		"InvalidKeyUsageException":            {kms.ErrDenied, once},
		"InvalidGrantTokenException":          {kms.ErrDenied, once},
		"UnsupportedOperationException":       {kms.ErrDenied, once},
		"UnknownOperationException":           {kms.ErrDenied, once},
		"InvalidCiphertextException":          {kms.ErrInvalid, once},
		"IncorrectKeyException":               {kms.ErrInvalid, once},
		"ValidationException":                 {kms.ErrInvalid, once},
		"SomethingNewException":               {kms.ErrUnavailable, once},
	} {
		key, before := open(t, "awskms:///"+arn), s.Calls("Encrypt")
		s.Fail("Encrypt", 1000, code, "words of AWS")
		_, err := key.Wrap(t.Context(), secret, bucket)
		want(t, err, c.class, arn+": Encrypt: "+code+": words of AWS (request 7d1a0e9e")
		if calls := s.Calls("Encrypt") - before; calls != c.calls {
			t.Errorf("%s: tried %d times, want %d", code, calls, c.calls)
		}
	}
	key := open(t, "awskms:///"+arn)
	s.Fail("Encrypt", 2, "KMSInternalException", "")
	opens(t, key, wrap(t, key))
}

// AWS says what it would have signed, with the session token in it.
func TestOfARefusedSignatureTheRequestIsNotTold(t *testing.T) {
	s := newFake(t)
	key := open(t, "awskms:///"+s.CreateKey("", ""))
	s.Fail("", 1, "InvalidSignatureException", "The request signature we calculated does not match.\n\nThe Canonical String for this request should have been\n'POST\n/\n\nx-amz-security-token:"+private)
	_, err := key.Wrap(t.Context(), secret, bucket)
	want(t, err, kms.ErrDenied, "does not match")
	if strings.Contains(err.Error(), private) {
		t.Error(err)
	}
}

func TestWhatTheOperatorSees(t *testing.T) {
	s := newFake(t)
	arn := s.CreateKey("", "")
	key := open(t, "awskms:///"+arn)
	w := wrap(t, key)
	const deleted, away = "pending deletion: cancel that now", "custom key store is not connected"
	for state, c := range map[string]struct {
		class error
		text  string
	}{
		fakekms.Disabled:               {kms.ErrNotFound, "disabled"},
		fakekms.PendingDeletion:        {kms.ErrNotFound, deleted},
		fakekms.PendingReplicaDeletion: {kms.ErrNotFound, deleted},
		fakekms.PendingImport:          {kms.ErrNotFound, "key material to be imported"},
		fakekms.Unavailable:            {kms.ErrUnavailable, away},
		fakekms.Creating:               {kms.ErrUnavailable, "in state Creating"},
	} {
		s.SetState(arn, state)
		want(t, key.Check(t.Context()), c.class, arn, c.text)
		asked := s.Calls("DescribeKey")
		_, err := key.Unwrap(t.Context(), w, bucket)
		want(t, err, c.class, arn, c.text, "Decrypt", "request 7d1a0e9e")
		if asked = s.Calls("DescribeKey") - asked; asked > 1 {
			t.Errorf("%s: its state was asked for %d times", state, asked)
		}
	}
	for _, state := range []string{fakekms.Enabled, fakekms.Updating} {
		s.SetState(arn, state)
		if err := key.Check(t.Context()); err != nil {
			t.Errorf("%s: %v", state, err)
		}
	}
	want(t, open(t, "awskms://alias/none").Check(t.Context()), kms.ErrNotFound, "alias/none", "NotFoundException")

	rsa := s.CreateKey("", "")
	s.SetSpec(rsa, "RSA_2048")
	want(t, open(t, "awskms:///"+rsa).Check(t.Context()), kms.ErrDenied, "RSA_2048", "SYMMETRIC_DEFAULT")

	s.Deny("DescribeKey") // is not needed
	if err := open(t, "awskms:///"+arn).Check(t.Context()); err != nil {
		t.Errorf("without DescribeKey: %v", err)
	}
	for state, class := range map[string]error{
		fakekms.PendingDeletion: kms.ErrNotFound, fakekms.PendingReplicaDeletion: kms.ErrNotFound, fakekms.PendingImport: kms.ErrNotFound,
		fakekms.Unavailable: kms.ErrUnavailable, fakekms.Creating: kms.ErrUnavailable,
	} {
		s.SetState(arn, state)
		_, err := key.Unwrap(t.Context(), w, bucket)
		want(t, err, class, arn, "KMSInvalidStateException")
	}
	s.SetState(arn, fakekms.Enabled)
	s.Deny("Encrypt")
	want(t, open(t, "awskms:///"+arn).Check(t.Context()), kms.ErrDenied, "AccessDeniedException", "kms:Encrypt")

	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
	want(t, open(t, "awskms:///"+arn).Check(t.Context()), kms.ErrDenied, "InvalidSignatureException")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDNOBODY")
	want(t, open(t, "awskms:///"+arn).Check(t.Context()), kms.ErrDenied, "UnrecognizedClientException")
}

// The texts are AWS's.
// https://docs.aws.amazon.com/kms/latest/developerguide/xks-troubleshooting.html
func TestAKeyStoreThatFailsIsUnavailableAndRefusesABlobForGood(t *testing.T) {
	s := newFake(t)
	arn, other := s.CreateKey("", ""), s.CreateKey("", "")
	s.Alias("alias/photos", arn)
	key := open(t, "awskms://alias/photos")
	w := wrap(t, key)
	fail := func(message string) {
		for _, operation := range []string{"Encrypt", "Decrypt", "ReEncrypt"} {
			s.Fail(operation, 1, "KMSInvalidStateException", message)
		}
	}
	all := func() map[string]error {
		_, wrapping := key.Wrap(t.Context(), secret, bucket)
		_, unwrapping := key.Unwrap(t.Context(), w, bucket)
		_, rewrapping := key.(kms.Rewrapper).Rewrap(t.Context(), key, w, bucket, bucket)
		return map[string]error{"Encrypt": wrapping, "Decrypt": unwrapping, "ReEncrypt": rewrapping}
	}
	fail("AWS KMS rejected the request because the external key store proxy did not respond in time. Retry the request.")
	asked := s.Calls("DescribeKey")
	for operation, err := range all() {
		want(t, err, kms.ErrUnavailable, operation, "did not respond in time", "the key is enabled, but its key store failed")
	}
	if asked = s.Calls("DescribeKey") - asked; asked != 3 {
		t.Errorf("the state was asked for %d times, want once for each", asked)
	}
	fail("The external key store proxy rejected the request because the specified ciphertext or additional authenticated data is corrupted, missing, or otherwise invalid.")
	for operation, err := range all() {
		want(t, err, kms.ErrInvalid, operation, "ciphertext")
	}
	// AWS says which of two keys it means.
	s.Alias("alias/photos", other)
	s.SetState(other, fakekms.PendingDeletion)
	_, err := key.(kms.Rewrapper).Rewrap(t.Context(), key, w, bucket, bucket)
	want(t, err, kms.ErrNotFound, other+" is pending deletion", "cancel that now")
}
