package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/api/auth/approle"
	"github.com/hashicorp/vault/api/auth/kubernetes"

	"github.com/s3proxy/s3proxy/kms"
)

// login gives a token, and what Vault says of its life.
type login func(ctx context.Context, client *api.Client) (*api.SecretAuth, error)

// method is how the settings log in. again tells whether that can be repeated for a new
// token.
func (s *Settings) method() (log login, again bool) {
	switch {
	case s.Token != "":
		return s.withToken(func() (string, error) { return s.Token, nil }), false
	case s.TokenFile != "":
		return s.withToken(s.readTokenFile), true
	case s.RoleID != "":
		return s.appRole, true
	}
	return s.kubernetes, true
}

// withToken looks at a token that is there already.
func (s *Settings) withToken(read func() (string, error)) login {
	return func(ctx context.Context, client *api.Client) (*api.SecretAuth, error) {
		token, err := read()
		if err != nil {
			return nil, err
		}
		own, err := client.Clone()
		if err != nil {
			return nil, err
		}
		own.SetNamespace(client.Namespace())
		own.SetToken(token)
		found, err := own.Auth().Token().LookupSelfWithContext(ctx)
		if isDenied(err) {
			_, reason := classOf(ctx, err)
			return nil, fmt.Errorf("%w: the token has expired, was revoked, or may not look at itself (auth/token/lookup-self): %w", kms.ErrDenied, reason)
		}
		if err != nil {
			return nil, err
		}
		ttl, err := found.TokenTTL()
		if err != nil {
			return nil, err
		}
		renewable, err := found.TokenIsRenewable()
		if err != nil {
			return nil, err
		}
		// A file's token is renewed by who writes the file.
		return &api.SecretAuth{ClientToken: token, LeaseDuration: int(ttl.Seconds()), Renewable: renewable && s.TokenFile == ""}, nil
	}
}

func (s *Settings) readTokenFile() (string, error) {
	text, err := os.ReadFile(s.TokenFile)
	if err != nil {
		return "", fmt.Errorf("the token's file: %w", err)
	}
	token := string(bytes.TrimSpace(text))
	if token == "" {
		return "", errors.New("the token's file is empty")
	}
	return token, nil
}

func (s *Settings) appRole(ctx context.Context, client *api.Client) (*api.SecretAuth, error) {
	var options []approle.LoginOption
	if s.AuthMount != "" {
		options = append(options, approle.WithMountPath(s.AuthMount))
	}
	method, err := approle.NewAppRoleAuth(s.RoleID, &approle.SecretID{FromFile: s.SecretIDFile, FromString: s.SecretID}, options...)
	if err != nil {
		return nil, err
	}
	return logIn(ctx, client, method)
}

func (s *Settings) kubernetes(ctx context.Context, client *api.Client) (*api.SecretAuth, error) {
	path := s.KubernetesTokenFile
	if path == "" {
		path = serviceAccountToken
	}
	options := []kubernetes.LoginOption{kubernetes.WithServiceAccountTokenPath(path)}
	if s.AuthMount != "" {
		options = append(options, kubernetes.WithMountPath(s.AuthMount))
	}
	method, err := kubernetes.NewKubernetesAuth(s.KubernetesRole, options...) // reads the file
	if err != nil {
		return nil, err
	}
	return logIn(ctx, client, method)
}

func logIn(ctx context.Context, client *api.Client, method api.AuthMethod) (*api.SecretAuth, error) {
	own, err := client.Clone() // a login carries no token
	if err != nil {
		return nil, err
	}
	own.SetNamespace(client.Namespace())
	own.ClearToken()
	secret, err := method.Login(ctx, own)
	if err != nil {
		return nil, err
	}
	if secret == nil || secret.Auth == nil || secret.Auth.ClientToken == "" {
		return nil, errors.New("the answer of Vault to the login has no token")
	}
	return secret.Auth, nil
}

func sorted(names []string) []string {
	slices.SortFunc(names, strings.Compare)
	return names
}
