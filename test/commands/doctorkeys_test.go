package commands

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
)

// Vault says what a token may do. docs/KEYS.md's policy is the minimum: with more, doctor warns;
// with less, it says what is missing.
func TestDoctorTellsAWideTokenOfVaultFromTheLeastPrivilege(t *testing.T) {
	k, vault := onStore(t, lab.SharedVersitygw(t)), lab.NewVault(t)
	vault.CreateKey(t, "photos")
	vault.Policy(t, "least", lab.VaultPolicy(t, "photos", false))
	vault.Policy(t, "rotates", lab.VaultPolicy(t, "photos", true))
	vault.Policy(t, "wide", `path "transit/*" { capabilities = ["create", "read", "update", "delete", "list"] }`)
	vault.Policy(t, "blind", `path "transit/encrypt/photos" { capabilities = ["update"] }
path "transit/decrypt/photos" { capabilities = ["update"] }`)
	vault.Policy(t, "none", `path "transit/encrypt/photos" { capabilities = ["update"] }`)
	token := func(policy string) string {
		return vault.Token(t, []string{policy}, time.Hour, time.Hour, true)
	}
	diagnose := func(code int, address, token string) diagnosis {
		t.Helper()
		return k.doctor(code, []string{"VAULT_ADDR=" + address, "VAULT_TOKEN=" + token, "VAULT_MAX_RETRIES=0"}, "--kms", "vault://transit/photos", "--upstream", k.store.URL)
	}
	d := diagnose(0, vault.URL, token("least"))
	d.want(t, "kms", "ok", "wraps and unwraps")
	d.want(t, "kms-clock", "ok", "")
	d.want(t, "kms-privileges", "ok", "no more")
	diagnose(3, vault.URL, token("rotates")).want(t, "kms-privileges", "warning", "rotate the key")
	d = diagnose(3, vault.URL, token("wide"))
	for _, part := range []string{
		"make keys by encrypting under their name (transit/encrypt/photos: ", "change or delete the key (transit/keys/photos: ", "rotate the key (", "change the key's settings", "destroy versions (",
		"read the key itself (transit/export/encryption-key/photos: ", "read the key itself, by a backup (", "encrypt with other keys (", "decrypt with other keys (",
	} {
		d.want(t, "kms-privileges", "warning", part)
	}
	diagnose(3, vault.URL, vault.RootToken).want(t, "kms-privileges", "warning", "root token")
	d = diagnose(3, vault.URL, token("blind"))
	d.want(t, "kms", "ok", "")
	d.want(t, "kms-privileges", "warning", "may not read transit/keys/photos")
	d = diagnose(3, vault.URL, token("none"))
	d.want(t, "kms", "failed", "docs/KEYS.md")

	// A Vault whose clock is an hour ahead.
	target, err := url.Parse(vault.URL)
	if err != nil {
		t.Fatal(err)
	}
	ahead := httputil.NewSingleHostReverseProxy(target)
	ahead.ModifyResponse = func(resp *http.Response) error {
		if resp.Request.URL.Path != "/v1/sys/health" {
			return nil
		}
		var health map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&health); err != nil {
			return err
		}
		health["server_time_utc"] = time.Now().Add(time.Hour).Unix()
		body, err := json.Marshal(health)
		resp.Body = io.NopCloser(bytes.NewReader(body))
		resp.ContentLength = int64(len(body))
		resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
		return err
	}
	between := httptest.NewServer(ahead)
	t.Cleanup(between.Close)
	diagnose(3, between.URL, token("least")).want(t, "kms-clock", "failed", "ahead of this machine's")

	vault.Seal(t)
	diagnose(3, vault.URL, vault.RootToken).want(t, "kms", "failed", "unseal it")
}

// AWS does not say what is allowed, but its clock can be checked.
func TestDoctorLooksAtAKeyOfAWS(t *testing.T) {
	k := onStore(t, lab.SharedVersitygw(t))
	kek := lab.AWSKEK(t)
	d := k.doctor(0, kek.Env, "--kms", kek.URI, "--upstream", k.store.URL)
	d.want(t, "kms", "ok", "wraps and unwraps")
	d.want(t, "kms-clock", "ok", "that of this machine")
	d.want(t, "kms-privileges", "skipped", "docs/KEYS.md")
}
