package vault_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/vault"
	"github.com/s3proxy/s3proxy/test/lab"
)

// fronted is a real Vault behind a server that answers some calls itself.
type fronted struct {
	handler http.Handler
	mu      sync.Mutex
	answers []int // statuses of the next calls; then Vault is asked
	always  int   // status of every call; 0: Vault is asked
	calls   int
}

func front(t *testing.T, v *lab.Vault) *fronted {
	t.Helper()
	to, err := url.Parse(v.URL)
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(to)
	f := &fronted{}
	f.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.calls++
		status := f.always
		if len(f.answers) > 0 {
			status, f.answers = f.answers[0], f.answers[1:]
		}
		f.mu.Unlock()
		if status == 0 {
			forward.ServeHTTP(w, r)
			return
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"errors":["made up: %d"]}`, status)
	})
	return f
}

func (f *fronted) next(answers ...int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers, f.calls = answers, 0
}

// A Vault that is sealed, a standby, behind in replication or too busy is asked again; how
// long is bounded, by the caller's deadline too.
func TestWhatPassesIsTriedAgainWithinTheDeadline(t *testing.T) {
	v := newVault(t)
	f := front(t, v)
	server := httptest.NewServer(f.handler)
	t.Cleanup(server.Close)
	t.Setenv("VAULT_ADDR", server.URL)
	c, err := vault.NewConnection(vault.Settings{Token: v.RootToken}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	key := open(t, c, "vault://transit/photos")
	if err := key.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, status := range []int{412, 429, 472, 473, 500, 502, 503} {
		f.next(status, status)
		if _, err := key.Current(t.Context()); err != nil {
			t.Errorf("after two answers of %d: %v", status, err)
		}
	}
	for _, status := range []int{429, 473, 503} {
		f.always = status
		f.next()
		began := time.Now()
		_, err := key.Current(t.Context())
		want(t, err, kms.ErrUnavailable, fmt.Sprint(status))
		if d := time.Since(began); f.calls < 3 || f.calls > 5 || d > 5*time.Second {
			t.Errorf("%d always: %d calls in %v", status, f.calls, d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
		began = time.Now()
		_, err = key.Wrap(ctx, make([]byte, 32), kms.Context{"bucket": "photos"})
		if d := time.Since(began); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, kms.ErrUnavailable) || d > time.Second {
			t.Errorf("%d always, with 150 ms: %v after %v", status, err, d)
		}
		cancel()
	}
	f.always = 0
	if err := key.Check(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// Vault's certificate is of an authority of the operator's own.
func TestVaultIsTrustedByItsOwnCA(t *testing.T) {
	v := newVault(t)
	f := front(t, v)
	server := httptest.NewUnstartedServer(f.handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are to fail
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	check := func() error {
		c, err := vault.NewConnection(vault.Settings{Token: v.RootToken}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return open(t, c, "vault://transit/photos").Check(t.Context())
	}
	t.Setenv("VAULT_ADDR", server.URL)
	want(t, check(), kms.ErrUnavailable, "certificate")
	if f.calls > 0 {
		t.Errorf("%d calls reached a server that was not to be trusted", f.calls)
	}
	t.Setenv("VAULT_CACERT", ca)
	if err := check(); err != nil {
		t.Errorf("with its CA: %v", err)
	}
	t.Setenv("VAULT_TLS_SERVER_NAME", "another.example.org")
	want(t, check(), kms.ErrUnavailable, "another.example.org")
}
