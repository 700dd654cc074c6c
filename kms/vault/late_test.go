package vault_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/vault"
)

// What another program writes may come later than the proxy, or be wrong at first: the
// first call after it is good is served.
func TestAFileThatComesLateIsWaitedFor(t *testing.T) {
	v := newVault(t)
	roleID, secretID := v.AppRole(t, "proxy", []string{"photos"}, time.Hour, 2*time.Hour)
	kubernetes := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path != "/v1/auth/kubernetes/login" || strings.Contains(string(body), "the.service.account") {
			_, _ = io.WriteString(w, `{"auth": {"client_token": "s.kube", "lease_duration": 3600}, "data": {"type": "aes256-gcm96", "latest_version": 4}}`)
			return
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"errors": ["permission denied"]}`)
	}))
	t.Cleanup(kubernetes.Close)
	for name, c := range map[string]struct {
		settings func(file string) vault.Settings
		good     string
	}{
		"a token file": {
			func(file string) vault.Settings { return vault.Settings{TokenFile: file} },
			v.Token(t, []string{"photos"}, time.Hour, 0, false),
		},
		"a secret id's file": {
			func(file string) vault.Settings { return vault.Settings{RoleID: roleID, SecretIDFile: file} },
			secretID,
		},
		"a service account's file": {
			func(file string) vault.Settings {
				t.Setenv("VAULT_ADDR", kubernetes.URL)
				return vault.Settings{KubernetesRole: "proxy", KubernetesTokenFile: file}
			},
			"the.service.account",
		},
	} {
		file := filepath.Join(t.TempDir(), "file")
		t.Setenv("VAULT_ADDR", v.URL)
		connection, err := vault.NewConnection(c.settings(file), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(connection.Close)
		key := open(t, connection, "vault://transit/photos")
		current := func() error { _, err := key.Current(t.Context()); return err }
		t.Run(name, func(t *testing.T) {
			want(t, current(), kms.ErrUnavailable, "file", file)
			write(t, file, nil)
			want(t, current(), kms.ErrUnavailable, "empty", file)
			if err := errors.Join(os.Remove(file), os.Mkdir(file, 0o700)); err != nil {
				t.Fatal(err)
			}
			want(t, current(), kms.ErrUnavailable, file)
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(name, "a token") {
				write(t, file, []byte("hvs.nonsense"))
				want(t, current(), kms.ErrDenied, "the token has expired, was revoked")
				time.Sleep(1100 * time.Millisecond) // minCheck
			}
			write(t, file, []byte(c.good+"\n"))
			if err := current(); err != nil {
				t.Errorf("with a good one: %v", err)
			}
		})
	}
}

// Vault locks a role out after five refusals.
func TestALoginThatVaultRefusedIsNotRepeatedAtOnce(t *testing.T) {
	s := newSite(t)
	t.Setenv("VAULT_ADDR", s.http(t))
	s.settings.SecretID = "wrong"
	key := s.key(t)
	for range 3 {
		want(t, key.Check(t.Context()), kms.ErrDenied, "invalid role or secret ID")
	}
	if n := len(s.taken()); n != 1 {
		t.Errorf("%d logins", n)
	}
}
