package vault_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/vault"
)

// A gateway, or a server that is no Vault, says nothing about the key or the token: nothing
// that it says is for good, and no login is tried for it.
func TestAnAnswerThatIsNotVaultsIsNoRefusal(t *testing.T) {
	s := newSite(t)
	var status int
	var body string
	logins := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/login") {
			logins++
		}
		if status == 0 {
			s.handler.ServeHTTP(w, r)
			return
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	t.Setenv("VAULT_ADDR", server.URL)
	const page, problem = "<html>\n<h1>The  gateway</h1>", `{"message": "The gateway"}`
	for _, c := range []struct {
		status int
		body   string
	}{
		{303, page}, {400, page}, {401, page}, {403, page}, {404, page}, {405, page}, {413, page}, {502, page},
		{400, problem}, {401, problem}, {403, problem}, {404, problem}, {405, problem}, {404, ""}, {503, ""},
		{200, page}, {200, problem}, {200, ""},
	} {
		name := fmt.Sprint(c.status, c.body)
		key := s.key(t)
		status, body = c.status, c.body
		_, err := key.Current(t.Context())
		want(t, err, kms.ErrUnavailable, "the login to Vault")
		status = 0
		w, err := key.Wrap(t.Context(), make([]byte, 32), kms.Context{"bucket": "photos"})
		if err != nil {
			t.Fatalf("%s: a login held back the next: %v", name, err)
		}
		logins, status = 0, c.status
		_, err = key.Current(t.Context())
		want(t, err, kms.ErrUnavailable)
		_, err = key.Unwrap(t.Context(), w, kms.Context{"bucket": "photos"})
		want(t, err, kms.ErrUnavailable)
		if c.status > 400 && (!strings.Contains(err.Error(), "not Vault's") || strings.Contains(c.body, "<") && !strings.Contains(err.Error(), "<html> <h1>The gateway")) {
			t.Errorf("%s: %v", name, err)
		}
		if logins != 0 {
			t.Errorf("%s: %d logins", name, logins)
		}
		status = 0
	}
}

// What Go's servers answer there is a 400.
func TestHTTPWhereTLSIsServedIsSaid(t *testing.T) {
	s := newSite(t)
	address, _ := s.https(t, nil)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("VAULT_ADDR", "http://"+u.Host)
	want(t, s.check(t), kms.ErrUnavailable, "not Vault's", "HTTP request to an HTTPS server")
	s.settings = vault.Settings{Token: s.vault.RootToken}
	want(t, s.check(t), kms.ErrUnavailable, "not Vault's", "HTTP request to an HTTPS server")
}
