package vault_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/vault"
	"github.com/s3proxy/s3proxy/test/lab"
)

// A renewal asks for the whole life: by what is left, a proxy that starts late would leave
// the token no more than that for ever.
func TestALateStartDoesNotShortenAToken(t *testing.T) {
	v := newVault(t)
	token := v.Token(t, []string{"photos"}, 12*time.Second, 0, true)
	time.Sleep(9 * time.Second)
	if err := open(t, connect(t, v, vault.Settings{Token: token}, nil), "vault://transit/photos").Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2500 * time.Millisecond)
	ttl, _ := v.Must(t, "POST", "auth/token/lookup", map[string]any{"token": token})["ttl"].(float64)
	if ttl < 6 {
		t.Errorf("%v s are left of a token of 12 s that was just renewed", ttl)
	}
}

// A token in a file is another program's; that it ends is told before it does.
func TestATokenFileIsWatched(t *testing.T) {
	v := newVault(t)
	dir := t.TempDir()
	inFile := func(name, token string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	var ending, renewed logged
	left := open(t, connect(t, v, vault.Settings{TokenFile: inFile("left", v.Token(t, []string{"photos"}, 9*time.Second, 0, false))}, ending.logger()), "vault://transit/photos")
	token := v.Token(t, []string{"photos"}, 9*time.Second, 0, true)
	kept := open(t, connect(t, v, vault.Settings{TokenFile: inFile("kept", token)}, renewed.logger()), "vault://transit/photos")
	for _, key := range []kms.Key{left, kept} {
		if err := key.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 { // as an agent does, without a change of the file
		time.Sleep(2 * time.Second)
		v.Must(t, "POST", "auth/token/renew", map[string]any{"token": token})
	}
	if err := left.Check(t.Context()); err != nil || !strings.Contains(ending.String(), "nobody has renewed") {
		t.Errorf("before it ends: %v, logged: %s", err, ending.String())
	}
	time.Sleep(2500 * time.Millisecond)
	want(t, left.Check(t.Context()), kms.ErrDenied)
	if err := kept.Check(t.Context()); err != nil || renewed.String() != "" {
		t.Errorf("renewed by another: %v, logged: %s", err, renewed.String())
	}
}

func TestATokenFileThatComesLateIsUsedAtOnce(t *testing.T) {
	v := newVault(t)
	file := filepath.Join(t.TempDir(), "token")
	key := open(t, connect(t, v, vault.Settings{TokenFile: file}, nil), "vault://transit/photos")
	want(t, key.Check(t.Context()), kms.ErrUnavailable, file)
	for _, c := range []struct {
		token string
		class error
	}{{"hvs.nonsense", kms.ErrDenied}, {v.RootToken, nil}} {
		if err := os.WriteFile(file, []byte(c.token), 0o600); err != nil {
			t.Fatal(err)
		}
		var err error
		for range 50 { // 5 s of the 15 for which a refused AppRole is left alone
			if err = key.Check(t.Context()); errors.Is(err, c.class) {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if !errors.Is(err, c.class) {
			t.Errorf("with %q: %v, want %v", c.token[:4], err, c.class)
		}
	}
}

// fronting is a Connection as root through a server, logged in.
func fronting(t *testing.T, v *lab.Vault, handler http.Handler) *vault.Key {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	t.Setenv("VAULT_ADDR", server.URL)
	c, err := vault.NewConnection(vault.Settings{Token: v.RootToken}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	key := open(t, c, "vault://transit/photos").(*vault.Key)
	if err := key.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	return key
}

func TestAnAnswerOfAGatewayIsNotVaults(t *testing.T) {
	v := newVault(t)
	f := front(t, v)
	var status atomic.Int32
	key := fronting(t, v, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s := int(status.Load()); s != 0 {
			w.WriteHeader(s)
			fmt.Fprint(w, "<html>none of my business</html>")
			return
		}
		f.handler.ServeHTTP(w, r)
	}))
	for _, s := range []int{400, 403, 405} {
		status.Store(int32(s))
		_, err := key.Wrap(t.Context(), make([]byte, 32), kms.Context{"bucket": "photos"})
		want(t, err, kms.ErrUnavailable, fmt.Sprint(s), "not Vault's")
	}
	status.Store(0)
	if err := key.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// A version of a Vault that was put back from an older copy is not there.
func TestAVersionThatVaultDoesNotHaveYetIsNotFound(t *testing.T) {
	v := newVault(t)
	key := open(t, connect(t, v, vault.Settings{Token: v.RootToken}, nil), "vault://transit/photos")
	w, err := key.Wrap(t.Context(), make([]byte, 32), nil)
	if err != nil {
		t.Fatal(err)
	}
	w.KEK = strings.Replace(w.KEK, "#1", "#7", 1)
	_, err = key.Unwrap(t.Context(), w, nil)
	want(t, err, kms.ErrNotFound, "too new")
}

// Each request for a new version makes one: an answer that was lost is not asked for again.
func TestANewVersionIsAskedForOnce(t *testing.T) {
	v := newVault(t)
	f := front(t, v)
	key := fronting(t, v, f.handler)
	f.next(0, 502)
	_, err := key.Rotate(t.Context())
	want(t, err, kms.ErrUnavailable, "502")
	if f.calls != 2 {
		t.Errorf("%d calls, wanted a look at the key and one request", f.calls)
	}
	f.next()
	if kek, err := key.Rotate(t.Context()); kek != "vault://transit/photos#2" || err != nil || f.calls != 2 {
		t.Errorf("%q, %v, %d calls", kek, err, f.calls)
	}
	if latest, _ := v.Must(t, "GET", "transit/keys/photos", nil)["latest_version"].(float64); latest != 2 {
		t.Errorf("the latest version is %v", latest)
	}
}

// What Vault says of a token that it refused may be lost: then it is not known that nothing helps.
func TestARefusedTokenThatNobodyCanLookAtIsUnavailable(t *testing.T) {
	v := newVault(t)
	f := front(t, v)
	key := fronting(t, v, f.handler)
	time.Sleep(1100 * time.Millisecond) // a token that is younger is taken for good
	f.next(403, 503, 503, 503, 503)
	_, err := key.Wrap(t.Context(), make([]byte, 32), nil)
	want(t, err, kms.ErrUnavailable)
	if _, err := key.Wrap(t.Context(), make([]byte, 32), nil); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
