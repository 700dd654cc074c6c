package lab

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"
)

// Vault is a running HashiCorp Vault with the transit engine at transit/ and AppRole at
// auth/approle. Its data survives Stop and Restart.
type Vault struct {
	*Process
	URL       string
	RootToken string

	at           place
	address, dir string
	key          string // unseals it
}

// NewVault starts a Vault for one test, unsealed.
func NewVault(t testing.TB) *Vault { t.Helper(); return newVault(place{t: t}) }

// SharedVault is one Vault for all tests of the package; none of them seals or stops it.
func SharedVault(t testing.TB) *Vault {
	t.Helper()
	sharedVault.Lock()
	defer sharedVault.Unlock()
	if sharedVault.vault == nil {
		sharedVault.vault = newVault(place{t: t, shared: true})
	}
	ShowOnFailure(t, sharedVault.vault.Process)
	return sharedVault.vault
}

var sharedVault struct {
	sync.Mutex
	vault *Vault
}

// EmptyVault starts a Vault that is not initialized.
func EmptyVault(t testing.TB) *Vault { t.Helper(); return emptyVault(place{t: t}) }

func emptyVault(at place) *Vault {
	at.t.Helper()
	v := &Vault{at: at, address: FreeAddress(at.t), dir: at.folder("vault"), RootToken: "none"}
	v.URL = "http://" + v.address
	v.start()
	return v
}

func newVault(at place) *Vault {
	at.t.Helper()
	v := emptyVault(at)
	var made struct {
		Keys      []string `json:"keys"`
		RootToken string   `json:"root_token"`
	}
	v.mustDo(at.t, "PUT", "sys/init", map[string]any{"secret_shares": 1, "secret_threshold": 1}, &made)
	v.key, v.RootToken = made.Keys[0], made.RootToken
	v.Unseal(at.t)
	v.mustDo(at.t, "POST", "sys/mounts/transit", map[string]any{"type": "transit"}, nil)
	v.mustDo(at.t, "POST", "sys/auth/approle", map[string]any{"type": "approle"}, nil)
	return v
}

func (v *Vault) start() {
	v.at.t.Helper()
	v.Process = start(v.at, "vault", serverBinary(v.at.t, "vault"), []string{"-listen", v.address, "-dir", v.dir}, Env())
	v.AwaitListening(v.at.t, v.address)
}

// Env is the environment for programs that use the Vault as root.
func (v *Vault) Env() []string { return []string{"VAULT_ADDR=" + v.URL, "VAULT_TOKEN=" + v.RootToken} }

// Do sends a request as root and returns the status, and the "data" or "auth" of the answer.
func (v *Vault) Do(t testing.TB, method, path string, body map[string]any) (status int, data map[string]any) {
	t.Helper()
	var answer struct {
		Data map[string]any `json:"data"`
		Auth map[string]any `json:"auth"`
	}
	status = v.do(t, method, path, body, &answer)
	if answer.Data == nil {
		return status, answer.Auth
	}
	return status, answer.Data
}

// Must is Do, but ends the test if Vault refuses.
func (v *Vault) Must(t testing.TB, method, path string, body map[string]any) map[string]any {
	t.Helper()
	status, data := v.Do(t, method, path, body)
	if status >= 300 {
		t.Fatalf("Vault: %s %s: status %d", method, path, status)
	}
	return data
}

func (v *Vault) mustDo(t testing.TB, method, path string, body map[string]any, answer any) {
	t.Helper()
	if status := v.do(t, method, path, body, answer); status >= 300 {
		t.Fatalf("Vault: %s %s: status %d", method, path, status)
	}
}

func (v *Vault) do(t testing.TB, method, path string, body map[string]any, answer any) int {
	t.Helper()
	sent, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, v.URL+"/v1/"+path, bytes.NewReader(sent))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", v.RootToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("Vault: %s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err == nil && answer != nil && len(got) > 0 {
		err = json.Unmarshal(got, answer)
	}
	if err != nil {
		t.Fatalf("Vault: %s %s: %v", method, path, err)
	}
	return resp.StatusCode
}

// CreateKey makes a transit key.
func (v *Vault) CreateKey(t testing.TB, name string) {
	t.Helper()
	v.Must(t, "POST", "transit/keys/"+name, map[string]any{})
}

// Policy makes a policy from HCL.
func (v *Vault) Policy(t testing.TB, name, hcl string) {
	t.Helper()
	v.Must(t, "PUT", "sys/policies/acl/"+name, map[string]any{"policy": hcl})
}

// Token makes a token with policies and a TTL. If renewable, it can be renewed until it is longest
// old (zero: without limit).
func (v *Vault) Token(t testing.TB, policies []string, ttl, longest time.Duration, renewable bool) string {
	t.Helper()
	body := map[string]any{"policies": policies, "ttl": ttl.String(), "renewable": renewable, "no_default_policy": false}
	if longest > 0 {
		body["explicit_max_ttl"] = longest.String()
	}
	return v.Must(t, "POST", "auth/token/create", body)["client_token"].(string)
}

// AppRole makes a role. Its tokens have policies and a TTL, and can be renewed until they are
// longest old.
func (v *Vault) AppRole(t testing.TB, name string, policies []string, ttl, longest time.Duration) (roleID, secretID string) {
	t.Helper()
	v.Must(t, "POST", "auth/approle/role/"+name, map[string]any{"token_policies": policies, "token_ttl": ttl.String(), "token_max_ttl": longest.String()})
	roleID = v.Must(t, "GET", "auth/approle/role/"+name+"/role-id", nil)["role_id"].(string)
	return roleID, v.Must(t, "POST", "auth/approle/role/"+name+"/secret-id", map[string]any{})["secret_id"].(string)
}

// Seal makes Vault refuse everything until Unseal.
func (v *Vault) Seal(t testing.TB) { t.Helper(); v.Must(t, "PUT", "sys/seal", nil) }

// Unseal unseals Vault again, and waits until it serves.
func (v *Vault) Unseal(t testing.TB) {
	t.Helper()
	v.Must(t, "PUT", "sys/unseal", map[string]any{"key": v.key})
	v.until(t, 20*time.Second, func() bool { return v.do(t, "GET", "sys/health", nil, nil) == http.StatusOK })
}

// Stop kills Vault; its address refuses connections until Restart.
func (v *Vault) Stop() { v.Kill() }

// Restart starts Vault again at the same address with the same data, unsealed.
func (v *Vault) Restart(t testing.TB) {
	t.Helper()
	v.start()
	v.Unseal(t)
}

// String is only the address: a Vault printed in a message must not show its token.
func (v *Vault) String() string { return fmt.Sprintf("Vault at %s", v.URL) }
