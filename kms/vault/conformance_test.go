package vault_test

import (
	"log/slog"
	"net/url"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/kmstest"
	"github.com/s3proxy/s3proxy/kms/vault"
	"github.com/s3proxy/s3proxy/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// connect is not for parallel tests: where Vault is, its client reads from the environment.
func connect(t *testing.T, v *lab.Vault, s vault.Settings, log *slog.Logger) *vault.Connection {
	t.Helper()
	t.Setenv("VAULT_ADDR", v.URL)
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c, err := vault.NewConnection(s, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func open(t *testing.T, c *vault.Connection, uri string) kms.Key {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	key, err := c.Open(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestConformance(t *testing.T) {
	v, gone := lab.NewVault(t), lab.NewVault(t)
	for _, name := range []string{"photos", "other", "retired"} {
		v.CreateKey(t, name)
	}
	v.Must(t, "POST", "transit/keys/chacha", map[string]any{"type": "chacha20-poly1305"})
	v.Policy(t, "nothing", `path "transit/encrypt/other" { capabilities = ["update"] }`)
	root := connect(t, v, vault.Settings{Token: v.RootToken}, nil)
	powerless := connect(t, v, vault.Settings{Token: v.Token(t, []string{"nothing"}, time.Hour, 0, true)}, nil)
	away := connect(t, gone, vault.Settings{Token: gone.RootToken}, nil)
	gone.Stop()
	for _, name := range []string{"photos", "chacha"} {
		t.Run(name, func(t *testing.T) {
			kmstest.Run(t, kmstest.Harness{
				Key:      func(t *testing.T) kms.Key { return open(t, root, "vault://transit/"+name) },
				OtherKey: func(t *testing.T) kms.Key { return open(t, root, "vault://transit/other") },
				RemovedKey: func(t *testing.T, plaintext []byte, c kms.Context) (kms.Key, kms.Wrapped) {
					key := open(t, root, "vault://transit/retired")
					w, err := key.Wrap(t.Context(), plaintext, c)
					if err != nil {
						t.Fatal(err)
					}
					kek, err := key.(kms.Rotator).Rotate(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					v.Must(t, "POST", "transit/keys/retired/config", map[string]any{"min_decryption_version": kek[len(key.URI()+"#"):]})
					return key, w
				},
				Unavailable: func(t *testing.T) kms.Key { return open(t, away, "vault://transit/"+name) },
				Denied:      func(t *testing.T) kms.Key { return open(t, powerless, "vault://transit/"+name) },
			})
		})
	}
}
