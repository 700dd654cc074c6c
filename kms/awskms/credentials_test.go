package awskms_test

import (
	"crypto/sha1"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/awskms"
	"github.com/s3proxy/s3proxy/kms/awskms/fakekms"
	"github.com/s3proxy/s3proxy/test/lab"
)

// private is what a provider of credentials gives, and no error may hold.
const private = "wJalrXUtnFEMI-private"

// withoutCredentials leaves the SDK the fake, a home that is empty, and no credentials. It
// gives the key to ask for, and that home.
func withoutCredentials(t *testing.T) (arn, home string) {
	t.Helper()
	arn, home = newFake(t).CreateKey("", ""), t.TempDir()
	for name, value := range map[string]string{
		"HOME": home, "AWS_CONFIG_FILE": filepath.Join(home, "config"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(home, "credentials"),
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	return arn, home
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// answers starts a server that answers all alike, and gives its URL.
func answers(t *testing.T, status int, header, text string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if name, value, ok := strings.Cut(header, ": "); ok {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func nobody(t *testing.T) string {
	s := fakekms.New()
	s.Close()
	return s.URL
}

// refuses demands that calls fail with class and texts, and that neither the error nor
// what goes to standard error, where the SDK logs, has anything private.
func refuses(t *testing.T, uri string, class error, texts ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	stderr := os.Stderr
	os.Stderr = log
	defer func() { os.Stderr = stderr }()
	key := open(t, uri)
	w := kms.Wrapped{KEK: "awskms:#" + strings.TrimPrefix(uri, "awskms:///"), Blob: []byte("x")}
	w.KEK, _, _ = strings.Cut(w.KEK, "?")
	errs := []error{key.Check(t.Context())}
	if class == kms.ErrDenied { // else it is tried again, which takes seconds
		_, wrapping := key.Wrap(t.Context(), secret, bucket)
		_, unwrapping := key.Unwrap(t.Context(), w, bucket)
		errs = append(errs, wrapping, unwrapping)
	}
	for _, err := range errs {
		want(t, err, class, append(texts, "no credentials")...)
		if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, private) {
			t.Errorf("the error holds what is private: %s", text)
		}
	}
	if text, err := os.ReadFile(log.Name()); err != nil || strings.Contains(string(text), private) {
		t.Errorf("the log holds what is private: %s, %v", text, err)
	}
}

func TestWhatCredentialProcessPrintsIsNotTold(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		lab.Skip(t, "sh, by which AWS's SDK runs a credential_process, is not in PATH")
	}
	for what, c := range map[string]struct {
		profile string
		class   error
		text    string
	}{
		"invalid JSON":        {"credential_process = echo SecretAccessKey=" + private, kms.ErrDenied, "the output of credential_process"},
		"another version":     {`credential_process = echo '{"Version": 2, "SecretAccessKey": "` + private + `"}'`, kms.ErrDenied, "the output of credential_process"},
		"it fails":            {"credential_process = sh -c 'echo " + private + "; exit 3'", kms.ErrUnavailable, "credential_process has failed: exit status 3"},
		"by way of a profile": {"role_arn = arn:aws:iam::111122223333:role/proxy\nsource_profile = base\n[profile base]\ncredential_process = echo " + private, kms.ErrDenied, "the output of credential_process"},
	} {
		t.Run(what, func(t *testing.T) {
			arn, home := withoutCredentials(t)
			write(t, filepath.Join(home, "config"), "[profile kms]\nregion = eu-west-1\n"+c.profile+"\n")
			refuses(t, "awskms:///"+arn+"?profile=kms", c.class, c.text)
		})
	}
}

func TestWhoGivesNoCredentialsIsNamed(t *testing.T) {
	stsError := func(code string) string {
		return "<ErrorResponse><Error><Type>Sender</Type><Code>" + code + "</Code><Message>words of STS\n" + private + "</Message></Error><RequestId>r-1</RequestId></ErrorResponse>"
	}
	for what, c := range map[string]struct {
		status int // 0: nobody answers
		code   string
		class  error
		texts  []string
	}{
		"an invalid token":           {400, "InvalidIdentityToken", kms.ErrDenied, []string{"words of STS", "r-1"}},
		"an expired token":           {400, "ExpiredToken", kms.ErrDenied, nil},
		"a role that is not allowed": {403, "AccessDenied", kms.ErrDenied, nil},
		"a malformed role":           {400, "ValidationError", kms.ErrDenied, nil},
		"no answer of the provider":  {400, "IDPCommunicationError", kms.ErrUnavailable, nil},
		"throttling":                 {400, "ThrottlingException", kms.ErrUnavailable, nil},
		"an error of STS":            {500, "InternalFailure", kms.ErrUnavailable, nil},
		"no STS":                     {0, "connection refused", kms.ErrUnavailable, nil},
	} {
		t.Run("STS: "+what, func(t *testing.T) {
			arn, home := withoutCredentials(t)
			write(t, filepath.Join(home, "token"), private)
			t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/proxy")
			t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", filepath.Join(home, "token"))
			sts := nobody(t)
			if c.status != 0 {
				sts = answers(t, c.status, "Content-Type: text/xml", stsError(c.code))
			}
			t.Setenv("AWS_ENDPOINT_URL_STS", sts)
			refuses(t, "awskms:///"+arn, c.class, append(c.texts, "STS AssumeRoleWithWebIdentity: ", c.code)...)
		})
	}
	t.Run("a token that is not there", func(t *testing.T) {
		arn, home := withoutCredentials(t)
		t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/proxy")
		t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", filepath.Join(home, "none"))
		refuses(t, "awskms:///"+arn, kms.ErrDenied, "AWS_WEB_IDENTITY_TOKEN_FILE")
	})
	t.Run("a role by way of a container's endpoint", func(t *testing.T) {
		arn, home := withoutCredentials(t)
		write(t, filepath.Join(home, "config"), "[profile kms]\nregion = eu-west-1\nrole_arn = arn:aws:iam::111122223333:role/proxy\ncredential_source = EcsContainer\n")
		t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", answers(t, 403, "Content-Type: application/json", `{"code": "`+private+`", "message": "`+private+`"}`))
		refuses(t, "awskms:///"+arn+"?profile=kms", kms.ErrDenied, "the container's credentials endpoint", "answers 403")
	})
	t.Run("a container's endpoint", func(t *testing.T) {
		arn, _ := withoutCredentials(t)
		for answer, class := range map[string]error{
			answers(t, 403, "Content-Type: application/json", `{"code": "`+private+`", "message": "`+private+`"}`): kms.ErrDenied,
			answers(t, 500, "", private): kms.ErrUnavailable,
			answers(t, 200, "", private): kms.ErrUnavailable,
			nobody(t):                    kms.ErrUnavailable,
		} {
			t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", answer+"/"+private)
			refuses(t, "awskms:///"+arn, class, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
		}
		t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:"+private)
		u, _ := url.Parse("awskms:///" + arn)
		if _, err := awskms.Opener(t.Context(), u); err == nil || strings.Contains(err.Error(), private) {
			t.Errorf("a broken URL: %v", err)
		}
	})
}

func TestNobodyGivesCredentials(t *testing.T) {
	arn, _ := withoutCredentials(t)
	refuses(t, "awskms:///"+arn, kms.ErrDenied, "none are configured", "switched off", "AWS_ACCESS_KEY_ID")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", answers(t, 404, "", private))
	refuses(t, "awskms:///"+arn, kms.ErrDenied, "none are configured", "answers 404", "AWS_ACCESS_KEY_ID")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", nobody(t))
	refuses(t, "awskms:///"+arn, kms.ErrUnavailable, "none are configured", "gives no readable answer", "AWS_ACCESS_KEY_ID")
}

func TestAnSSOSessionEnds(t *testing.T) {
	arn, home := withoutCredentials(t)
	const start = "https://example.awsapps.com/start"
	write(t, filepath.Join(home, "config"), "[profile kms]\nregion = eu-west-1\nsso_start_url = "+start+"\nsso_region = eu-west-1\nsso_account_id = 111122223333\nsso_role_name = proxy\n")
	uri := "awskms:///" + arn + "?profile=kms"
	refuses(t, uri, kms.ErrDenied, "aws sso login")
	cached := filepath.Join(home, ".aws", "sso", "cache", fmt.Sprintf("%x.json", sha1.Sum([]byte(start))))
	write(t, cached, `{"accessToken": "`+private+`", "expiresAt": "`+private+`"}`)
	refuses(t, uri, kms.ErrDenied, "aws sso login")
	write(t, cached, `{"accessToken": "`+private+`", "expiresAt": "`+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`"}`)
	t.Setenv("AWS_ENDPOINT_URL_SSO", answers(t, 401, "X-Amzn-ErrorType: UnauthorizedException", `{"message": "Session token not found or invalid"}`))
	refuses(t, uri, kms.ErrDenied, "SSO GetRoleCredentials: UnauthorizedException: Session token not found or invalid")
}
