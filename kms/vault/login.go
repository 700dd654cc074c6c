package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/api/auth/approle"
	"github.com/hashicorp/vault/api/auth/kubernetes"

	"github.com/s3proxy/s3proxy/kms"
)

// login gives a token, and what Vault says about its life.
type login func(ctx context.Context, client *api.Client) (*grant, error)

// grant is a token as Vault tells of it.
type grant struct {
	token     string
	renewable bool
	left      time.Duration // zero stands for ever
	// whole is the life that it was made with: to renew it by what is left would shorten it.
	whole time.Duration
}

// method gives the login that the settings name. again tells whether it can be repeated to get a
// new token.
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

// withToken looks up an existing token.
func (s *Settings) withToken(read func() (string, error)) login {
	return func(ctx context.Context, client *api.Client) (*grant, error) {
		token, err := read()
		if err != nil {
			return nil, err
		}
		own := another(client)
		own.SetToken(token)
		found, err := own.Auth().Token().LookupSelfWithContext(ctx)
		if isDenied(err) {
			_, reason := classOf(ctx, err)
			return nil, fmt.Errorf("%w: the token has expired, was revoked, or may not look at itself (auth/token/lookup-self): %w", kms.ErrDenied, reason)
		}
		if err != nil {
			return nil, err
		}
		g, err := grantOf(found)
		if err != nil {
			return nil, err
		}
		g.token = token
		// If a program writes the file, that program renews the token.
		g.renewable = g.renewable && (s.TokenFile == "" || s.renewFile)
		return g, nil
	}
}

// grantOf reads what Vault says about a token.
func grantOf(found *api.Secret) (*grant, error) {
	if found == nil || found.Data["ttl"] == nil { // else it would seem never to end
		return nil, errors.New("the answer from Vault does not say how long the token lives")
	}
	g := &grant{}
	var err error
	if g.left, err = found.TokenTTL(); err != nil {
		return nil, err
	}
	if g.left == 0 && found.Data["expire_time"] != nil { // less than a second is left
		g.left = time.Millisecond
	}
	if g.renewable, err = found.TokenIsRenewable(); err != nil {
		return nil, err
	}
	g.whole = g.left
	if made, ok := found.Data["creation_ttl"].(json.Number); ok {
		if seconds, err := made.Int64(); err == nil {
			g.whole = max(g.whole, time.Duration(seconds)*time.Second)
		}
	}
	return g, nil
}

// another makes a client like this one that may carry another token. (Clone would read the
// environment again and lose VAULT_DISABLE_REDIRECTS, so that a redirect would carry the token to
// another host.)
func another(client *api.Client) *api.Client { return client.WithNamespace(client.Namespace()) }

func (s *Settings) readTokenFile() (string, error) { return readFile("the token's file", s.TokenFile) }

// readFile reads a file that another program writes at any time. It may be missing or empty for a
// moment.
func readFile(what, file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	if text = bytes.TrimSpace(text); len(text) == 0 {
		return "", fmt.Errorf("%s, %s, is empty", what, file)
	}
	return string(text), nil
}

func (s *Settings) appRole(ctx context.Context, client *api.Client) (*grant, error) {
	var options []approle.LoginOption
	if s.AuthMount != "" {
		options = append(options, approle.WithMountPath(s.AuthMount))
	}
	secretID := s.SecretID
	if s.SecretIDFile != "" {
		var err error
		if secretID, err = readFile("the secret id's file", s.SecretIDFile); err != nil {
			return nil, err
		}
	}
	method, err := approle.NewAppRoleAuth(s.RoleID, &approle.SecretID{FromString: secretID}, options...)
	if err != nil {
		return nil, err
	}
	return logIn(ctx, client, method)
}

func (s *Settings) kubernetes(ctx context.Context, client *api.Client) (*grant, error) {
	path := s.KubernetesTokenFile
	if path == "" {
		path = serviceAccountToken
	}
	token, err := readFile("the service account's file", path)
	if err != nil {
		return nil, err
	}
	options := []kubernetes.LoginOption{kubernetes.WithServiceAccountToken(token)}
	if s.AuthMount != "" {
		options = append(options, kubernetes.WithMountPath(s.AuthMount))
	}
	method, err := kubernetes.NewKubernetesAuth(s.KubernetesRole, options...)
	if err != nil {
		return nil, err
	}
	return logIn(ctx, client, method)
}

func logIn(ctx context.Context, client *api.Client, method api.AuthMethod) (*grant, error) {
	own := another(client)
	own.ClearToken() // a login carries none
	secret, err := method.Login(ctx, own)
	if err != nil {
		return nil, err
	}
	if secret == nil || secret.Auth == nil || secret.Auth.ClientToken == "" {
		return nil, errors.New("the answer from Vault to the login has no token")
	}
	life := time.Duration(secret.Auth.LeaseDuration) * time.Second
	return &grant{token: secret.Auth.ClientToken, renewable: secret.Auth.Renewable, left: life, whole: life}, nil
}
