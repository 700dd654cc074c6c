package vault

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The variables with which the proxy can log in, beside Vault's own VAULT_TOKEN.
const (
	EnvTokenFile      = "S3PROXY_VAULT_TOKEN_FILE"
	EnvRoleID         = "S3PROXY_VAULT_ROLE_ID"
	EnvSecretID       = "S3PROXY_VAULT_SECRET_ID"
	EnvSecretIDFile   = "S3PROXY_VAULT_SECRET_ID_FILE"
	EnvKubernetesRole = "S3PROXY_VAULT_KUBERNETES_ROLE"
	EnvKubernetesFile = "S3PROXY_VAULT_KUBERNETES_TOKEN_FILE"
	EnvAuthMount      = "S3PROXY_VAULT_AUTH_MOUNT"
)

// Variables lists all of them, for a program that refuses unknown ones.
var Variables = []string{EnvTokenFile, EnvRoleID, EnvSecretID, EnvSecretIDFile, EnvKubernetesRole, EnvKubernetesFile, EnvAuthMount}

// serviceAccountToken is where Kubernetes puts a pod's own token.
// https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/
const serviceAccountToken = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// Settings say how the proxy logs in: by exactly one of Token, TokenFile, RoleID and
// KubernetesRole.
type Settings struct {
	// Token is renewed as long as Vault allows. When it ends, nobody makes a new one.
	Token string
	// TokenFile names a file with a token that another program renews and exchanges, such as
	// the sink of Vault Agent. It is read again when it has changed.
	TokenFile string
	renewFile bool // nobody else renews it
	// RoleID, with SecretID or a file that holds it, logs in by AppRole. The file is read at
	// each login.
	RoleID, SecretID, SecretIDFile string
	// KubernetesRole logs in with a service account's token in a file, which is read at
	// each login.
	KubernetesRole, KubernetesTokenFile string
	// AuthMount is the mount of the auth method; "" stands for approle or kubernetes.
	AuthMount string
}

// SettingsFromEnvironment reads VAULT_TOKEN and [Variables]. If none is set, it uses the token
// that "vault login" leaves in ~/.vault-token.
func SettingsFromEnvironment() (Settings, error) {
	s := Settings{
		Token: os.Getenv("VAULT_TOKEN"), TokenFile: os.Getenv(EnvTokenFile),
		RoleID: os.Getenv(EnvRoleID), SecretID: os.Getenv(EnvSecretID), SecretIDFile: os.Getenv(EnvSecretIDFile),
		KubernetesRole: os.Getenv(EnvKubernetesRole), KubernetesTokenFile: os.Getenv(EnvKubernetesFile),
		AuthMount: os.Getenv(EnvAuthMount),
	}
	if s == (Settings{}) {
		home, err := os.UserHomeDir()
		if err != nil {
			return s, errNoMethod
		}
		s.TokenFile, s.renewFile = filepath.Join(home, ".vault-token"), true
		if _, err := os.Stat(s.TokenFile); err != nil {
			return s, errNoMethod
		}
	}
	return s, s.check()
}

var errNoMethod = fmt.Errorf("nothing says how s3proxy logs in to Vault: set VAULT_TOKEN, %s, %s or %s", EnvTokenFile, EnvRoleID, EnvKubernetesRole)

func (s *Settings) check() error {
	var methods []string
	for name, value := range map[string]string{"VAULT_TOKEN": s.Token, EnvTokenFile: s.TokenFile, EnvRoleID: s.RoleID, EnvKubernetesRole: s.KubernetesRole} {
		if value != "" {
			methods = append(methods, name)
		}
	}
	switch {
	case len(methods) == 0:
		return errNoMethod
	case len(methods) > 1:
		return fmt.Errorf("set only one of %s to log in to Vault", strings.Join(sorted(methods), ", "))
	case s.RoleID == "" && (s.SecretID != "" || s.SecretIDFile != ""):
		return errors.New(EnvSecretID + " is set but " + EnvRoleID + " is not")
	case s.RoleID != "" && (s.SecretID == "") == (s.SecretIDFile == ""):
		return fmt.Errorf("%s needs one of %s and %s", EnvRoleID, EnvSecretID, EnvSecretIDFile)
	case s.KubernetesRole == "" && s.KubernetesTokenFile != "":
		return errors.New(EnvKubernetesFile + " is set but " + EnvKubernetesRole + " is not")
	case s.AuthMount != "" && s.RoleID == "" && s.KubernetesRole == "":
		return errors.New(EnvAuthMount + " is only for AppRole and Kubernetes")
	}
	return nil
}

var errNotRenewable = errors.New("it can no longer be renewed")

func sorted(names []string) []string {
	slices.SortFunc(names, strings.Compare)
	return names
}
