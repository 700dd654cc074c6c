package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/kms/awskms/fakekms"
	"github.com/s3proxy/s3proxy/test/lab"
)

// keyEncryptionKey is a key that a test rotates: what proxies and commands are told of
// it, and how its old versions, or all of them, are ended.
type keyEncryptionKey struct {
	uri    string
	read   []string // flags that name what it was before it is renewed
	env    []string
	renew  func(t *testing.T) // nil: by keys rotate --new-version
	retire func(t *testing.T)
	end    func(t *testing.T)
}

// localKEK is a new keyset in a file.
func localKEK(t *testing.T) keyEncryptionKey {
	path := filepath.Join(t.TempDir(), "keyset.json")
	k := keyEncryptionKey{uri: "localfile://" + path}
	keys := func(t *testing.T, args ...string) string {
		return mustRun(t, lab.Env(), lab.S3proxy(t), append([]string{"keys"}, append(args, "--kms", k.uri)...)...)
	}
	keys(t, "create")
	k.retire = func(t *testing.T) {
		for line := range strings.Lines(keys(t, "list")) {
			if f := strings.Fields(line); len(f) > 3 && f[3] == "false" && f[2] != "destroyed" {
				keys(t, "destroy", f[0], "--yes")
			}
		}
	}
	k.end = func(t *testing.T) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

// vaultKEK is a new key of a Vault, which proxies and commands use by AppRole.
func vaultKEK(t *testing.T) keyEncryptionKey {
	v := lab.SharedVault(t)
	name := freeName("kek")
	v.CreateKey(t, name)
	v.Policy(t, name, vaultPolicy(t, name, true))
	roleID, secretID := v.AppRole(t, name, []string{name}, 20*time.Second, time.Minute)
	return keyEncryptionKey{
		uri: "vault://transit/" + name,
		env: []string{"VAULT_ADDR=" + v.URL, "S3PROXY_VAULT_ROLE_ID=" + roleID, "S3PROXY_VAULT_SECRET_ID=" + secretID},
		retire: func(t *testing.T) {
			latest := v.Must(t, "GET", "transit/keys/"+name, nil)["latest_version"]
			v.Must(t, "POST", "transit/keys/"+name+"/config", map[string]any{"min_decryption_version": latest})
		},
		end: func(t *testing.T) {
			v.Must(t, "POST", "transit/keys/"+name+"/config", map[string]any{"deletion_allowed": true})
			v.Must(t, "DELETE", "transit/keys/"+name, nil)
		},
	}
}

// awsKEK is an alias of the fake of AWS KMS. Its new version is another key.
func awsKEK(t *testing.T) keyEncryptionKey {
	uri, env, fake := awsKMS(t)
	return movingAlias(uri, env, fake)
}

// movingAlias gives alias/photos a key, and others when it is renewed.
func movingAlias(uri string, env []string, fake *fakekms.Server) keyEncryptionKey {
	k := keyEncryptionKey{uri: uri, env: env}
	var all []string
	for range 3 {
		key := fake.CreateKey("", "")
		all = append(all, key)
		k.read = append(k.read, "--kms-read", strings.Replace(uri, "alias/photos", "/"+key, 1))
	}
	now := 0
	fake.Alias("alias/photos", all[now])
	k.renew = func(*testing.T) {
		now++
		fake.Alias("alias/photos", all[now])
	}
	k.retire = func(*testing.T) {
		for _, old := range all[:now] {
			fake.SetState(old, fakekms.PendingDeletion)
		}
	}
	return k
}

// emulatedKEK is an alias of an emulator of AWS KMS that others wrote.
func emulatedKEK(t *testing.T) keyEncryptionKey {
	server := lab.NewLocalKMS(t)
	server.Alias(t, "alias/photos", server.CreateKey(t))
	uri, env := awsProfile(t, "any", "any", lab.LocalKMSRegion, server.URL)
	return keyEncryptionKey{uri: uri, env: env}
}

// awsKMS is a key of the fake of AWS KMS, by an alias. Programs reach it by a profile of
// its own: their other AWS credentials are those of the store.
func awsKMS(t *testing.T) (uri string, env []string, fake *fakekms.Server) {
	t.Helper()
	fake = fakekms.New()
	t.Cleanup(fake.Close)
	fake.Alias("alias/photos", fake.CreateKey("", ""))
	uri, env = awsProfile(t, fakekms.AccessKeyID, fakekms.SecretAccessKey, fakekms.Region, fake.URL)
	return uri, env, fake
}

// awsProfile gives the URI of alias/photos at an endpoint, and the environment in which
// its profile has the credentials.
func awsProfile(t *testing.T, id, secret, region, endpoint string) (uri string, env []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "credentials")
	text := fmt.Sprintf("[kms]\naws_access_key_id = %s\naws_secret_access_key = %s\n", id, secret)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return "awskms://alias/photos?profile=kms&region=" + region + "&endpoint=" + endpoint, []string{"AWS_SHARED_CREDENTIALS_FILE=" + file}
}
