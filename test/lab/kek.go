package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/kms/awskms/fakekms"
)

// KEK is a key that a test rotates: what proxies and commands must know about it, and how to
// destroy its old versions, or all of them.
type KEK struct {
	URI    string
	Read   []string // flags that name the former key after a renewal
	Env    []string
	Renew  func(t *testing.T) // nil: by keys rotate --new-version
	Retire func(t *testing.T)
	End    func(t *testing.T)
}

// LocalKEK makes a keyset in a file.
func LocalKEK(t *testing.T) KEK {
	path := filepath.Join(t.TempDir(), "keyset.json")
	k := KEK{URI: "localfile://" + path}
	keys := func(t *testing.T, args ...string) string {
		return MustRun(t, Env(), S3proxy(t), append([]string{"keys"}, append(args, "--kms", k.URI)...)...)
	}
	keys(t, "create")
	k.Retire = func(t *testing.T) {
		for line := range strings.Lines(keys(t, "list")) {
			if f := strings.Fields(line); len(f) > 3 && f[3] == "false" && f[2] != "destroyed" {
				keys(t, "destroy", f[0], "--yes")
			}
		}
	}
	k.End = func(t *testing.T) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

// VaultKEK makes a key in a Vault. Proxies and commands log in by AppRole.
func VaultKEK(t *testing.T) KEK {
	v := SharedVault(t)
	name := FreeName("kek")
	v.CreateKey(t, name)
	v.Policy(t, name, VaultPolicy(t, name, true))
	roleID, secretID := v.AppRole(t, name, []string{name}, 20*time.Second, time.Minute)
	return KEK{
		URI: "vault://transit/" + name,
		Env: []string{"VAULT_ADDR=" + v.URL, "S3PROXY_VAULT_ROLE_ID=" + roleID, "S3PROXY_VAULT_SECRET_ID=" + secretID},
		Retire: func(t *testing.T) {
			latest := v.Must(t, "GET", "transit/keys/"+name, nil)["latest_version"]
			v.Must(t, "POST", "transit/keys/"+name+"/config", map[string]any{"min_decryption_version": latest})
		},
		End: func(t *testing.T) {
			v.Must(t, "POST", "transit/keys/"+name+"/config", map[string]any{"deletion_allowed": true})
			v.Must(t, "DELETE", "transit/keys/"+name, nil)
		},
	}
}

// AWSKEK makes an alias in the fake AWS KMS. There, a new version is a different key.
func AWSKEK(t *testing.T) KEK {
	uri, env, fake := FakeKMS(t)
	return MovingAlias(uri, env, fake)
}

// MovingAlias returns a KEK for alias/photos, which points to another key after each renewal.
func MovingAlias(uri string, env []string, fake *fakekms.Server) KEK {
	k := KEK{URI: uri, Env: env}
	var all []string
	for range 3 {
		key := fake.CreateKey("", "")
		all = append(all, key)
		k.Read = append(k.Read, "--kms-read", strings.Replace(uri, "alias/photos", "/"+key, 1))
	}
	now := 0
	fake.Alias("alias/photos", all[now])
	k.Renew = func(*testing.T) {
		now++
		fake.Alias("alias/photos", all[now])
	}
	k.Retire = func(*testing.T) {
		for _, old := range all[:now] {
			fake.SetState(old, fakekms.PendingDeletion)
		}
	}
	return k
}

// EmulatedKEK makes an alias in local-kms, an AWS KMS emulator that is not ours.
func EmulatedKEK(t *testing.T) KEK {
	server := NewLocalKMS(t)
	server.Alias(t, "alias/photos", server.CreateKey(t))
	uri, env := FakeKMSProfile(t, "any", "any", LocalKMSRegion, server.URL)
	return KEK{URI: uri, Env: env}
}

// FakeKMS returns an alias for a key in the fake AWS KMS. Programs reach it with a separate AWS
// profile, because their other AWS credentials are those of the store.
func FakeKMS(t *testing.T) (uri string, env []string, fake *fakekms.Server) {
	t.Helper()
	fake = fakekms.New()
	t.Cleanup(fake.Close)
	fake.Alias("alias/photos", fake.CreateKey("", ""))
	uri, env = FakeKMSProfile(t, fakekms.AccessKeyID, fakekms.SecretAccessKey, fakekms.Region, fake.URL)
	return uri, env, fake
}

// FakeKMSProfile returns the URI of alias/photos at an endpoint, and the environment with a profile
// that holds the credentials.
func FakeKMSProfile(t *testing.T, id, secret, region, endpoint string) (uri string, env []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "credentials")
	text := fmt.Sprintf("[kms]\naws_access_key_id = %s\naws_secret_access_key = %s\n", id, secret)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return "awskms://alias/photos?profile=kms&region=" + region + "&endpoint=" + endpoint, []string{"AWS_SHARED_CREDENTIALS_FILE=" + file}
}
