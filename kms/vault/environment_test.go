package vault_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/vault"
	"github.com/s3proxy/s3proxy/test/lab"
)

// The variables of Vault's own client hold for the login and for the calls after it: each
// case is a Check by AppRole, against a real Vault with servers in front of it.

// arrivals are the requests that a server was sent.
type arrivals struct {
	mu  sync.Mutex
	all []*http.Request
}

func (a *arrivals) before(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.all = append(a.all, r.Clone(r.Context()))
		a.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

func (a *arrivals) taken() []*http.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := a.all
	a.all = nil
	return all
}

// site is a Vault and a server before it.
type site struct {
	*arrivals
	vault    *lab.Vault
	front    *fronted
	handler  http.Handler
	settings vault.Settings
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{arrivals: &arrivals{}, vault: newVault(t)}
	s.front = front(t, s.vault)
	s.handler = s.before(s.front.handler)
	s.settings.RoleID, s.settings.SecretID = s.vault.AppRole(t, "proxy", []string{"photos"}, time.Hour, 2*time.Hour)
	return s
}

// check is one Check of a proxy that starts in the environment as it is.
func (s *site) check(t *testing.T) error {
	t.Helper()
	return s.key(t).Check(t.Context())
}

func (s *site) key(t *testing.T) kms.Key {
	t.Helper()
	c, err := vault.NewConnection(s.settings, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return open(t, c, "vault://transit/photos")
}

func (s *site) http(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(s.handler)
	t.Cleanup(server.Close)
	return server.URL
}

// https serves with a certificate of its own, for example.com and 127.0.0.1.
func (s *site) https(t *testing.T, config *tls.Config) (url string, certificate []byte) {
	t.Helper()
	server := httptest.NewUnstartedServer(s.handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are to fail
	server.TLS = config
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}

func write(t *testing.T, file string, text []byte) string {
	t.Helper()
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTheEnvironmentSaysWhereVaultIs(t *testing.T) {
	s := newSite(t)
	good := func(t *testing.T) {
		t.Helper()
		if err := s.check(t); err != nil {
			t.Error(err)
		}
		for _, r := range s.taken() {
			if r.URL.Host != "" {
				t.Errorf("%s %s is a request to a proxy", r.Method, r.URL)
			}
		}
	}
	t.Run("VAULT_ADDR", func(t *testing.T) {
		t.Setenv("VAULT_ADDR", s.http(t))
		good(t)
	})
	t.Run("VAULT_ADDR with a path", func(t *testing.T) {
		t.Setenv("VAULT_ADDR", s.http(t)+"/")
		good(t)
	})
	t.Run("VAULT_AGENT_ADDR goes before", func(t *testing.T) {
		t.Setenv("VAULT_ADDR", "http://127.0.0.1:1")
		t.Setenv("VAULT_AGENT_ADDR", s.http(t))
		good(t)
	})
	for _, name := range []string{"VAULT_PROXY_ADDR", "VAULT_HTTP_PROXY"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("VAULT_ADDR", "http://vault.example.org:8200")
			t.Setenv(name, s.http(t))
			if err := s.check(t); err != nil {
				t.Error(err)
			}
			for _, r := range s.taken() {
				if r.URL.Host != "vault.example.org:8200" {
					t.Errorf("%s %s was not asked of the proxy", r.Method, r.URL)
				}
			}
		})
	}
	t.Run("VAULT_SRV_LOOKUP", func(t *testing.T) {
		address := strings.TrimPrefix(s.http(t), "http://")
		names(t, "vault.example.org", address)
		t.Setenv("VAULT_ADDR", "http://vault.example.org")
		t.Setenv("VAULT_SRV_LOOKUP", "true")
		good(t)
	})
}

// A socket's address is not of the URL but of the transport, which all clients of a
// Connection share: one that is made while another calls must not set it again. Only the
// race detector sees it, and only where calls that dial are many.
func TestVaultIsReachedThroughASocketWhileTokensAreExchanged(t *testing.T) {
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "vault.sock"))
	if err != nil {
		t.Fatal(err)
	}
	var logins atomic.Int64
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/login") {
			logins.Add(1)
			_, _ = io.WriteString(w, `{"auth": {"client_token": "s.short", "lease_duration": 1}}`)
			return
		}
		_, _ = io.WriteString(w, `{"data": {"type": "aes256-gcm96", "latest_version": 1}}`)
	})}
	server.SetKeepAlivesEnabled(false)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	t.Setenv("VAULT_ADDR", "unix://"+listener.Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	var all sync.WaitGroup
	for range 6 {
		key := (&site{settings: vault.Settings{RoleID: "a", SecretID: "b"}}).key(t)
		for range 4 {
			all.Go(func() {
				for ctx.Err() == nil {
					if _, err := key.Current(t.Context()); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	all.Wait()
	if n := logins.Load(); n < 18 {
		t.Errorf("only %d logins", n)
	}
}

func TestTheEnvironmentSaysHowVaultIsTrusted(t *testing.T) {
	s := newSite(t)
	url, certificate := s.https(t, nil)
	t.Setenv("VAULT_ADDR", url)
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "ca.pem"), certificate)
	for name, value := range map[string]string{
		"VAULT_CACERT": file, "VAULT_CACERT_BYTES": string(certificate), "VAULT_CAPATH": dir, "VAULT_SKIP_VERIFY": "true",
	} {
		t.Run(name, func(t *testing.T) {
			want(t, s.check(t), kms.ErrUnavailable, "certificate")
			t.Setenv(name, value)
			if err := s.check(t); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("VAULT_TLS_SERVER_NAME", func(t *testing.T) {
		t.Setenv("VAULT_CACERT", file)
		t.Setenv("VAULT_TLS_SERVER_NAME", "example.com")
		s.taken()
		if err := s.check(t); err != nil {
			t.Error(err)
		}
		for _, r := range s.taken() {
			if r.TLS.ServerName != "example.com" {
				t.Errorf("%s %s: the server's name is %q", r.Method, r.URL, r.TLS.ServerName)
			}
		}
	})
	t.Run("VAULT_CACERT, which is gone by the first login", func(t *testing.T) {
		gone := write(t, filepath.Join(t.TempDir(), "ca.pem"), certificate)
		t.Setenv("VAULT_CACERT", gone)
		key := s.key(t)
		if err := os.Remove(gone); err != nil {
			t.Fatal(err)
		}
		if err := key.Check(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestTheEnvironmentsCertificateIsShownToVault(t *testing.T) {
	s := newSite(t)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "proxy"}, NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	url, ca := s.https(t, &tls.Config{ClientAuth: tls.RequireAnyClientCert})
	dir := t.TempDir()
	t.Setenv("VAULT_ADDR", url)
	t.Setenv("VAULT_CACERT", write(t, filepath.Join(dir, "ca.pem"), ca))
	want(t, s.check(t), kms.ErrUnavailable, "certificate required")
	t.Setenv("VAULT_CLIENT_CERT", write(t, filepath.Join(dir, "proxy.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	t.Setenv("VAULT_CLIENT_KEY", write(t, filepath.Join(dir, "proxy.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))
	if err := s.check(t); err != nil {
		t.Error(err)
	}
	for _, r := range s.taken() {
		if name := r.TLS.PeerCertificates[0].Subject.CommonName; name != "proxy" {
			t.Errorf("%s %s: the certificate is of %q", r.Method, r.URL, name)
		}
	}
}

func TestTheEnvironmentsHeadersAreSent(t *testing.T) {
	s := newSite(t)
	t.Setenv("VAULT_ADDR", s.http(t))
	t.Setenv("VAULT_HEADERS", `{"X-Gateway": "photos"}`)
	if err := s.check(t); err != nil {
		t.Error(err)
	}
	all := s.taken()
	for _, r := range all {
		if r.Header.Get("X-Gateway") != "photos" || r.Header.Get("X-Vault-Request") != "true" {
			t.Errorf("%s %s: %v", r.Method, r.URL, r.Header)
		}
	}
	if len(all) < 4 {
		t.Errorf("only %d requests", len(all))
	}
}

// VAULT_WRAP_TTL is for a person at a terminal: nothing here would unwrap an answer.
func TestAnswersAreNeverWrapped(t *testing.T) {
	s := newSite(t)
	t.Setenv("VAULT_ADDR", s.http(t))
	t.Setenv("VAULT_WRAP_TTL", "60s")
	if err := s.check(t); err != nil {
		t.Error(err)
	}
	s.settings = vault.Settings{Token: s.vault.Token(t, []string{"photos"}, 2*time.Second, 0, true)}
	use(t, s.key(t), 3*time.Second)
	for _, r := range s.taken() {
		if ttl := r.Header.Get("X-Vault-Wrap-Ttl"); ttl != "" {
			t.Errorf("%s %s is to be wrapped for %s", r.Method, r.URL, ttl)
		}
	}
}

func TestTheEnvironmentSaysHowOftenAndHowLongVaultIsAsked(t *testing.T) {
	s := newSite(t)
	t.Setenv("VAULT_ADDR", s.http(t))
	for retries, calls := range map[string]int{"0": 1, "1": 2, "": 4} {
		t.Run("VAULT_MAX_RETRIES="+retries, func(t *testing.T) {
			t.Setenv("VAULT_MAX_RETRIES", retries)
			key := s.key(t)
			refuses := func(after string) {
				t.Helper()
				s.front.next()
				s.front.always = http.StatusServiceUnavailable
				want(t, key.Check(t.Context()), kms.ErrUnavailable, "503")
				s.front.always = 0
				if s.front.calls != calls {
					t.Errorf("%s: %d calls, want %d", after, s.front.calls, calls)
				}
			}
			refuses("the login")
			if err := key.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			refuses("after the login")
		})
	}
	t.Run("VAULT_RATE_LIMIT", func(t *testing.T) {
		t.Setenv("VAULT_RATE_LIMIT", "4:1")
		s.taken()
		began := time.Now()
		if err := s.check(t); err != nil {
			t.Error(err)
		}
		if n, d := len(s.taken()), time.Since(began); n < 4 || d < time.Duration(n-1)*250*time.Millisecond {
			t.Errorf("%d requests in %v", n, d)
		}
	})
}

func TestTheEnvironmentSaysHowLongVaultIsWaitedFor(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the end of the connection is not seen
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	t.Setenv("VAULT_ADDR", server.URL)
	t.Setenv("VAULT_CLIENT_TIMEOUT", "1")
	began := time.Now()
	want(t, (&site{settings: vault.Settings{RoleID: "a", SecretID: "b"}}).check(t), kms.ErrUnavailable, "deadline")
	if d := time.Since(began); d < 900*time.Millisecond || d > 15*time.Second {
		t.Errorf("waited for %v", d)
	}
}

// Vault's own standbys redirect to the one that serves, and the client sends the token
// there. Whoever forbids that is told of the redirect.
func TestARedirectIsFollowedUnlessTheEnvironmentForbidsIt(t *testing.T) {
	s := newSite(t)
	to := s.http(t)
	logins := true // are answered with a redirect too
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !logins && strings.HasSuffix(r.URL.Path, "/login") {
			s.front.handler.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Location", to+r.URL.Path)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}))
	t.Cleanup(server.Close)
	t.Setenv("VAULT_ADDR", server.URL)
	if err := s.check(t); err != nil {
		t.Errorf("followed: %v", err)
	}
	if len(s.taken()) == 0 {
		t.Error("nothing was asked of the server behind the redirect")
	}
	t.Setenv("VAULT_DISABLE_REDIRECTS", "true")
	for _, logins = range []bool{true, false} {
		want(t, s.check(t), kms.ErrUnavailable, "307", "redirect to "+to)
		for _, r := range s.taken() {
			t.Errorf("%s %s was sent behind the redirect", r.Method, r.URL)
		}
	}
}

// One redirect is followed; where that leads to another, as while the leader changes, Vault
// has not answered. Its redirects have no body, which would be taken for "no such key".
func TestARedirectThatIsNotFollowedIsNoAnswer(t *testing.T) {
	s := newSite(t)
	leaderless := false
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !leaderless {
			s.handler.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Location", server.URL+r.URL.Path)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}))
	t.Cleanup(server.Close)
	t.Setenv("VAULT_ADDR", server.URL)
	key := s.key(t)
	for _, leaderless = range []bool{true, false, true} {
		if _, err := key.Current(t.Context()); leaderless {
			want(t, err, kms.ErrUnavailable, "redirect to "+server.URL)
		} else if err != nil {
			t.Error(err)
		}
	}
}
