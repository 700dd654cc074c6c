package test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/kms/awskms/fakekms"
	"github.com/s3proxy/s3proxy/test/lab"
)

// keepRequest counts a request and notes the secrets in it.
func (r *recorder) keepRequest(req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	r.mu.Lock()
	defer r.mu.Unlock()
	operation := req.Header.Get("X-Amz-Target")
	if parts := strings.Split(req.URL.Path, "/"); operation == "" && len(parts) > 3 {
		operation = parts[3]
	}
	r.calls[operation]++
	r.note("token", req.Header.Get("X-Vault-Token"))
	if _, signature, ok := strings.Cut(req.Header.Get("Authorization"), "Signature="); ok {
		r.note("signature", signature)
	}
	r.noteFields(body)
}

// keepAnswer notes the secrets in an answer.
func (r *recorder) keepAnswer(resp *http.Response) error {
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.noteFields(body)
	return nil
}

// noteFields notes what is secret in a JSON document, at any depth.
func (r *recorder) noteFields(body []byte) {
	var document any
	if json.Unmarshal(body, &document) != nil {
		return
	}
	var walk func(name string, v any)
	walk = func(name string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, v := range v {
				walk(strings.ToLower(name), v)
			}
		case []any:
			for _, v := range v {
				walk(name, v)
			}
		case string:
			switch name {
			case "plaintext", "client_token", "accessor", "secret_id":
				r.note(name, v)
			}
		}
	}
	walk("", document)
}

// note keeps a secret in the forms in which it could be written; the caller holds mu.
func (r *recorder) note(name, secret string) {
	if secret == "" {
		return
	}
	r.secrets[secret] = name
	if raw, err := base64.StdEncoding.DecodeString(secret); err == nil && name == "plaintext" {
		r.secrets[string(raw)] = name + ", raw"
		r.secrets[hex.EncodeToString(raw)] = name + ", in hexadecimal"
		r.secrets[base64.RawURLEncoding.EncodeToString(raw)] = name + ", in base64 for URLs"
		r.secrets[fmt.Sprint(raw)] = name + ", as a slice"
	}
}

// The log of a whole run at the highest level, of proxies and of commands, has no key, no
// token, no secret and no byte of an object.
func TestATraceOfAWholeRunHasNoSecretOfAKMS(t *testing.T) {
	if direct {
		t.Skip("there are no keys without the proxy")
	}
	for name, start := range map[string]func(*testing.T) (kek keyEncryptionKey, kms *recorder){
		"vault": func(t *testing.T) (keyEncryptionKey, *recorder) {
			v := lab.SharedVault(t)
			name := freeName("traced")
			v.CreateKey(t, name)
			v.Policy(t, name, vaultPolicy(t, name, false))
			roleID, secretID := v.AppRole(t, name, []string{name}, 2*time.Second, 4*time.Second)
			kms := record(t, v.URL)
			return keyEncryptionKey{
				uri: "vault://transit/" + name, env: []string{"VAULT_ADDR=" + kms.URL, "S3PROXY_VAULT_ROLE_ID=" + roleID, "S3PROXY_VAULT_SECRET_ID=" + secretID},
				renew: func(t *testing.T) { v.Must(t, "POST", "transit/keys/"+name+"/rotate", nil) },
			}, kms
		},
		"awskms": func(t *testing.T) (keyEncryptionKey, *recorder) {
			uri, env, fake, kms := awsKMS(t)
			kms.secrets[fakekms.SecretAccessKey] = "the KMS's secret access key"
			return keyEncryptionKey{uri: uri, env: env, renew: func(*testing.T) { fake.Alias("alias/photos", fake.CreateKey("", "")) }}, kms
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kek, kms := start(t)
			env := kek.env
			store := lab.SharedMinIO(t)
			logs := map[string]string{}
			trace := []string{"--kms", kek.uri, "--log-level", "trace"}
			serve := func(more ...string) {
				p := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Env: env, Args: append(more, trace...)})
				bucket := newBucket(t, p.S3())
				for i := range 5 {
					roundTrip(t, p.S3(), bucket, 1000+i)
					mustPut(t, p.S3(), "/"+bucket+"/"+fmt.Sprint(i), []byte(strings.Repeat(marker, 10)))
					time.Sleep(time.Second) // Vault's token is renewed and exchanged meanwhile
				}
				kek.renew(t)
				for _, args := range [][]string{{"keys", "rotate", "--objects", "--settle", "0"}, {"keys", "status", "--objects"}, {"keys", "verify"}, {"gc", "--records"}} {
					c := lab.Start(t, args[1], lab.S3proxy(t), append(append(args, trace...), "--upstream", store.URL, "s3://"+bucket), store.S3().Env(env...))
					if code, ended := c.Wait(time.Minute); code != 0 || !ended {
						t.Errorf("%v: exit code %d: %s", args, code, c.Log())
					}
					logs[strings.Join(args, " ")] = c.Log()
				}
				p.Term()
				p.Wait(answerWithin)
				logs["serve "+strings.Join(more, " ")] = p.Log()
			}
			serve("--log-format", "text", "--key-window-objects", "2")
			serve("--log-format", "json", "--key-window", "0")

			kms.mu.Lock()
			defer kms.mu.Unlock()
			kms.secrets[lab.ClientSecretKey] = "the client's secret"
			kms.secrets[store.SecretKey] = "the store's secret"
			kms.secrets[marker] = "an object"
			for _, e := range env {
				name, value, _ := strings.Cut(e, "=")
				if strings.Contains(name, "SECRET") || strings.Contains(name, "TOKEN") {
					kms.secrets[value] = name
				}
			}
			if name == "awskms" {
				wantAllowed(t, kms.calls)
			}
			if len(kms.secrets) < 30 {
				t.Errorf("only %d secrets were seen: %v", len(kms.secrets), kms.calls)
			}
			for what, log := range logs {
				if !strings.Contains(log, "TRACE") && !strings.Contains(log, "DEBUG-4") {
					t.Errorf("%s: no trace:\n%.500s", what, log)
				}
				for secret, name := range kms.secrets {
					if strings.Contains(log, secret) {
						t.Errorf("%s: the log has a secret (%s)", what, name)
					}
				}
			}
		})
	}
}

// awsKMS is a key of the fake of AWS KMS, by an alias, behind a recorder. Programs reach it
// by a profile of its own: their other AWS credentials are those of the store.
func awsKMS(t *testing.T) (uri string, env []string, fake *fakekms.Server, kms *recorder) {
	t.Helper()
	fake = fakekms.New()
	t.Cleanup(fake.Close)
	fake.Alias("alias/photos", fake.CreateKey("", ""))
	kms = record(t, fake.URL)
	uri, env = awsProfile(t, fakekms.AccessKeyID, fakekms.SecretAccessKey, fakekms.Region, kms.URL)
	return uri, env, fake, kms
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
