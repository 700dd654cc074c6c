package vault_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/vault"
	"github.com/s3proxy/s3proxy/test/lab"
)

// policy is what the proxy itself needs.
const policy = `
path "transit/encrypt/photos" { capabilities = ["update"] }
path "transit/decrypt/photos" { capabilities = ["update"] }
path "transit/keys/photos"    { capabilities = ["read"] }
`

// newVault has a key photos and a policy photos.
func newVault(t *testing.T) *lab.Vault {
	v := lab.NewVault(t)
	v.CreateKey(t, "photos")
	v.Policy(t, "photos", policy)
	return v
}

// logged collects what is logged.
type logged struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// use wraps and unwraps all the time, as several clients, and counts the calls; each error
// is one of the test.
func use(t *testing.T, key kms.Key, d time.Duration) (calls int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var all sync.WaitGroup
	var mu sync.Mutex
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				c := kms.Context{"bucket": "photos"}
				w, err := key.Wrap(t.Context(), bytes.Repeat([]byte{7}, 32), c)
				if err == nil {
					_, err = key.Unwrap(t.Context(), w, c)
				}
				if err != nil {
					t.Errorf("after %d calls: %v", calls, err)
					return
				}
				mu.Lock()
				calls++
				mu.Unlock()
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	all.Wait()
	return calls
}

func TestATokenIsRenewedAndExchangedBeforeItEnds(t *testing.T) {
	v := newVault(t)
	roleID, secretID := v.AppRole(t, "proxy", []string{"photos"}, 2*time.Second, 5*time.Second)
	file := filepath.Join(t.TempDir(), "secret-id")
	if err := os.WriteFile(file, []byte(secretID+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for name, s := range map[string]vault.Settings{
		// Tokens of 2 s that live for at most 5 s: renewed, then exchanged.
		"AppRole":                  {RoleID: roleID, SecretID: secretID},
		"AppRole, secret in file":  {RoleID: roleID, SecretIDFile: file},
		"a token that is renewed":  {Token: v.Token(t, []string{"photos"}, 2*time.Second, 0, true)},
		"a token that never ends":  {Token: v.RootToken},
		"AppRole at its own mount": {RoleID: roleID, SecretID: secretID, AuthMount: "approle"},
	} {
		var log logged
		key := open(t, connect(t, v, s, log.logger()), "vault://transit/photos")
		all.Go(func() {
			if calls := use(t, key, 8*time.Second); calls < 100 {
				t.Errorf("%s: only %d calls", name, calls)
			}
			if log.String() != "" {
				t.Errorf("%s: logged: %s", name, log.String())
			}
		})
	}
	all.Wait()
}

func TestATokenThatWasRevokedIsExchanged(t *testing.T) {
	v := newVault(t)
	roleID, secretID := v.AppRole(t, "proxy", []string{"photos"}, time.Hour, 2*time.Hour)
	key := open(t, connect(t, v, vault.Settings{RoleID: roleID, SecretID: secretID}, nil), "vault://transit/photos")
	if err := key.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1100 * time.Millisecond) // a token that is younger is taken for good
	revoked := 0
	for _, a := range v.Must(t, "LIST", "auth/token/accessors", nil)["keys"].([]any) {
		found := v.Must(t, "POST", "auth/token/lookup-accessor", map[string]any{"accessor": a})
		if found["path"] == "auth/approle/login" {
			v.Must(t, "POST", "auth/token/revoke-accessor", map[string]any{"accessor": a})
			revoked++
		}
	}
	if revoked != 1 {
		t.Errorf("%d tokens were revoked", revoked)
	}
	use(t, key, 200*time.Millisecond)
}

func TestATokenFileThatIsWrittenAnewIsReadAgain(t *testing.T) {
	v := newVault(t)
	file := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		t.Helper()
		if err := errors.Join(os.WriteFile(file+".new", []byte(token+"\n"), 0o600), os.Rename(file+".new", file)); err != nil {
			t.Fatal(err)
		}
	}
	write(v.Token(t, []string{"photos"}, 5*time.Second, 0, false))
	key := open(t, connect(t, v, vault.Settings{TokenFile: file}, nil), "vault://transit/photos")
	time.AfterFunc(2*time.Second, func() { write(v.Token(t, []string{"photos"}, time.Hour, 0, false)) })
	use(t, key, 7*time.Second)
}

// want demands an error of a class whose text says what an operator must know.
func want(t *testing.T, err, class error, texts ...string) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Errorf("%v, want %v", err, class)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error does not tell %q: %v", text, err)
		}
	}
}

func TestWhatTheOperatorSees(t *testing.T) {
	v := newVault(t)
	v.Must(t, "POST", "transit/keys/derived", map[string]any{"derived": true})
	v.Must(t, "POST", "transit/keys/rsa", map[string]any{"type": "rsa-2048"})
	root := vault.Settings{Token: v.RootToken}
	check := func(s vault.Settings, uri string) error {
		return open(t, connect(t, v, s, nil), uri).Check(t.Context())
	}
	want(t, check(root, "vault://transit/none"), kms.ErrNotFound, "vault://transit/none", "404")
	if status, _ := v.Do(t, "GET", "transit/keys/none", nil); status != 404 {
		t.Errorf("a key that was not there was made: status %d", status)
	}
	want(t, check(root, "vault://elsewhere/photos"), kms.ErrNotFound, "no transit engine at this mount")
	want(t, check(root, "vault://transit/derived"), kms.ErrDenied, "derived=true")
	want(t, check(root, "vault://transit/rsa"), kms.ErrDenied, "rsa-2048", "aes256-gcm96")
	want(t, check(vault.Settings{Token: "hvs.nonsense"}, "vault://transit/photos"), kms.ErrDenied, "the token has expired, was revoked")
	want(t, check(vault.Settings{TokenFile: "/does/not/exist"}, "vault://transit/photos"), kms.ErrUnavailable, "the token's file", "/does/not/exist")

	roleID, secretID := v.AppRole(t, "proxy", []string{"photos"}, time.Second, 2*time.Second)
	var log logged
	key := open(t, connect(t, v, vault.Settings{RoleID: roleID, SecretID: secretID}, log.logger()), "vault://transit/photos")
	if err := key.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	v.Must(t, "POST", "auth/approle/role/proxy/secret-id/destroy", map[string]any{"secret_id": secretID})
	deadline := time.Now().Add(10 * time.Second)
	var err error
	for err == nil && time.Now().Before(deadline) {
		time.Sleep(200 * time.Millisecond)
		err = key.Check(t.Context())
	}
	want(t, err, kms.ErrDenied, "the login to Vault", "invalid role or secret ID")
	for !strings.Contains(log.String(), "could not be renewed") && time.Now().Before(deadline) {
		time.Sleep(50 * time.Millisecond) // it is told beside the calls
	}
	if text := log.String(); !strings.Contains(text, "could not be renewed") || strings.Contains(text, secretID) {
		t.Errorf("logged: %s", text)
	}

	short := open(t, connect(t, v, vault.Settings{Token: v.Token(t, []string{"photos"}, 2*time.Second, 0, false)}, log.logger()), "vault://transit/photos")
	if err := short.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1900 * time.Millisecond)
	if text := log.String(); !strings.Contains(text, "nobody makes a new one") {
		t.Errorf("of a token about to end is logged: %s", text)
	}
	time.Sleep(1200 * time.Millisecond)
	want(t, short.Check(t.Context()), kms.ErrDenied)

	key = open(t, connect(t, v, root, nil), "vault://transit/photos")
	if err := key.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	v.Seal(t)
	want(t, key.Check(t.Context()), kms.ErrUnavailable, "sealed")
	v.Unseal(t)
	if err := key.Check(t.Context()); err != nil {
		t.Errorf("unsealed again: %v", err)
	}
}

// A token with no more than the right to encrypt and decrypt makes no key, and knows the
// version all the same.
func TestTheRightToReadTheKeyIsNotNeeded(t *testing.T) {
	v := lab.NewVault(t)
	v.CreateKey(t, "photos")
	v.Policy(t, "blind", `
path "transit/encrypt/*" { capabilities = ["update"] }
path "transit/decrypt/*" { capabilities = ["update"] }`)
	c := connect(t, v, vault.Settings{Token: v.Token(t, []string{"blind"}, time.Hour, 0, true)}, nil)
	key := open(t, c, "vault://transit/photos")
	v.Must(t, "POST", "transit/keys/photos/rotate", nil)
	if kek, err := key.Current(t.Context()); err != nil || kek != "vault://transit/photos#2" {
		t.Errorf("current: %q, %v", kek, err)
	}
	if err := key.Check(t.Context()); err != nil {
		t.Error(err)
	}
	want(t, open(t, c, "vault://transit/none").Check(t.Context()), kms.ErrDenied)
	if status, _ := v.Do(t, "GET", "transit/keys/none", nil); status != 404 {
		t.Errorf("a key that was not there was made: status %d", status)
	}
}

// There is no Kubernetes here: this is about the request that the login sends, and about
// the namespace and Retry-After, which this Vault does not have.
func TestTheRequestsOfTheKubernetesLogin(t *testing.T) {
	jwt := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(jwt, []byte("the.service.account"), 0o600); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var asked []string
	busy := 1
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, r.Method+" "+r.URL.Path+" "+r.Header.Get("X-Vault-Namespace")+" "+r.Header.Get("X-Vault-Token")+" "+string(body))
		if busy > 0 {
			busy--
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		switch {
		case strings.HasSuffix(r.URL.Path, "/login"):
			_ = json.NewEncoder(w).Encode(map[string]any{"auth": map[string]any{"client_token": "s.kube", "lease_duration": 3600, "renewable": true}})
		default:
			_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{"type": "aes256-gcm96", "latest_version": 4}})
		}
	}))
	t.Cleanup(server.Close)
	t.Setenv("VAULT_ADDR", server.URL)
	t.Setenv("VAULT_NAMESPACE", "team/a")
	c, err := vault.NewConnection(vault.Settings{KubernetesRole: "proxy", KubernetesTokenFile: jwt, AuthMount: "k8s-west"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	u, _ := url.Parse("vault://transit/photos")
	key, err := c.Open(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if kek, err := key.Current(t.Context()); err != nil || kek != "vault://transit/photos#4" {
		t.Errorf("current: %q, %v", kek, err)
	}
	if d := time.Since(began); d < time.Second {
		t.Errorf("Retry-After: 1 was waited for %v", d)
	}
	login := `PUT /v1/auth/k8s-west/login team/a  {"jwt":"the.service.account","role":"proxy"}`
	got := strings.Join(asked, "\n")
	if want := login + "\n" + login + "\nGET /v1/transit/keys/photos team/a s.kube "; got != want {
		t.Errorf("asked:\n%s\nwant:\n%s", got, want)
	}
}

func TestSettingsNameOneWayToLogIn(t *testing.T) {
	for name, c := range map[string]struct {
		settings vault.Settings
		says     string
	}{
		"none":                     {vault.Settings{}, "set VAULT_TOKEN"},
		"two":                      {vault.Settings{Token: "a", RoleID: "b", SecretID: "c"}, "only one of S3PROXY_VAULT_ROLE_ID, VAULT_TOKEN"},
		"a role without a secret":  {vault.Settings{RoleID: "b"}, "needs one of"},
		"a role with two secrets":  {vault.Settings{RoleID: "b", SecretID: "c", SecretIDFile: "d"}, "needs one of"},
		"a secret without a role":  {vault.Settings{Token: "a", SecretID: "c"}, "S3PROXY_VAULT_ROLE_ID is not"},
		"a mount without a method": {vault.Settings{Token: "a", AuthMount: "c"}, "AppRole and Kubernetes"},
		"a file without a role":    {vault.Settings{Token: "a", KubernetesTokenFile: "c"}, "S3PROXY_VAULT_KUBERNETES_ROLE is not"},
	} {
		if _, err := vault.NewConnection(c.settings, nil); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestURIs(t *testing.T) {
	c, err := vault.NewConnection(vault.Settings{Token: "a"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for text, good := range map[string]bool{
		"vault://transit/photos": true, "vault://team/a/transit/photos": true, "vault://transit/Photos-2_x.y": true,
		"vault://transit": false, "vault://transit/": false, "vault:///photos": false, "vault://transit//photos": false, "vault://transit/../photos": false,
		"vault://transit:8200/photos": false, "vault://me@transit/photos": false, "vault://transit/photos?x=y": false, "vault://transit/photos#3": false,
		"vault://transit/pho%20tos": false, "vault:transit/photos": false, "other://transit/photos": false,
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		key, err := c.Open(t.Context(), u)
		if good != (err == nil) || good && key.URI() != text {
			t.Errorf("%s: %v", text, err)
		}
	}
}
