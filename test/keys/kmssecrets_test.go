package keys

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/awskms/fakekms"
	"github.com/s3proxy/s3proxy/kms/localfile"
	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// keepRequest counts a request and records the secrets in it.
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

// keepAnswer records the secrets in an answer.
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

// noteFields records the secrets in a JSON document, at any depth.
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

// note records a secret; the caller holds mu.
func (r *recorder) note(name, secret string) {
	if secret == "" {
		return
	}
	r.secrets[secret] = name
	if raw, err := base64.StdEncoding.DecodeString(secret); err == nil && name == plaintextField {
		r.noteBytes(name, raw)
	}
}

const plaintextField = "plaintext"

// noteBytes records a secret in every form in which it could be written; the caller holds mu.
func (r *recorder) noteBytes(name string, raw []byte) {
	r.secrets[string(raw)] = name + inItself
	r.secrets[hex.EncodeToString(raw)] = name + ", in hexadecimal"
	r.secrets[base64.StdEncoding.EncodeToString(raw)] = name + ", in base64"
	r.secrets[base64.RawURLEncoding.EncodeToString(raw)] = name + ", in base64 for URLs"
	r.secrets[fmt.Sprint(raw)] = name + ", as a slice"
}

const inItself = ", raw"

// seenKey is a KMS with a single key, which the recorder saw passing to or from another KMS.
type seenKey struct {
	kms.Key
	uri string
	raw string
}

func (k seenKey) URI() string { return k.uri }

func (k seenKey) Unwrap(context.Context, kms.Wrapped, kms.Context) ([]byte, error) {
	return []byte(k.raw), nil
}

// seenKeys are all keys that passed to or from the KMS at uri.
func (r *recorder) seenKeys(uri string) (keys []kms.Key) {
	for secret, name := range r.secrets {
		if name == plaintextField+inItself && len(secret) == envelope.KeySize {
			keys = append(keys, seenKey{uri: uri, raw: secret})
		}
	}
	return keys
}

// noteDataKeys records the data keys of objects, each of which one of the keys opens; the caller
// holds mu.
func (r *recorder) noteDataKeys(t *testing.T, store *lab.Store, bucket string, objects []string, keys []kms.Key) {
	t.Helper()
	for _, object := range objects {
		head, err := s3test.SDK(t, store.S3()).HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &object})
		if err != nil {
			t.Fatalf("%s: %v", object, err)
		}
		meta, err := envelope.ParseMetadata(head.Metadata)
		if err != nil {
			t.Fatalf("%s: %v", object, err)
		}
		opened := false
		for _, key := range keys {
			ring, err := kms.NewKeyring(kms.Config{Write: key})
			if err != nil {
				t.Fatal(err)
			}
			dek, err := ring.OpenKey(t.Context(), kms.Name{Bucket: bucket, Key: object, Kind: meta.Kind}, meta)
			if err == nil {
				opened = true
				_ = dek.WithBytes(func(raw []byte) error { r.noteBytes("a data key", raw); return nil })
			}
		}
		if !opened {
			t.Errorf("the data key of %s was not found", object)
		}
	}
}

// wantNone fails if a log has a secret; the caller holds mu.
func (r *recorder) wantNone(t *testing.T, what, log string) {
	t.Helper()
	for secret, name := range r.secrets {
		if strings.Contains(log, secret) {
			t.Errorf("%s: the log has a secret (%s)", what, name)
		}
	}
}

// tracedKeyset is a keyset of two versions in a file with a passphrase. No log may contain any of
// it.
func tracedKeyset(t *testing.T) (lab.KEK, *recorder, kms.Key) {
	t.Helper()
	uri, path := lab.NewKeyset(t)
	env := []string{localfile.EnvPassphrase + "=" + passphrase}
	seen := &recorder{secrets: map[string]string{}}
	keys := func(env []string, args ...string) {
		t.Helper()
		said := mustKeys(t, uri, env, append(args, "--log-level", "trace")...)
		seen.wantNone(t, "keys "+args[0], said)
	}
	keys(nil, "add")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var keyset struct {
		Key []struct{ KeyData struct{ Value []byte } }
	}
	if err := json.Unmarshal(content, &keyset); err != nil || len(keyset.Key) != 2 {
		t.Fatalf("a keyset of %d keys: %v", len(keyset.Key), err)
	}
	for _, k := range keyset.Key {
		message := k.KeyData.Value // a protobuf, whose last field is the key
		seen.note("a key as Tink writes it", base64.StdEncoding.EncodeToString(message))
		seen.noteBytes("a key of the keyset", message[len(message)-envelope.KeySize:])
	}
	seen.noteBytes("the passphrase", []byte(passphrase))
	keys(env, "passphrase")
	key, err := localfile.Open(path, localfile.WithPassphrase(func() ([]byte, error) { return []byte(passphrase), nil }))
	if err != nil {
		t.Fatal(err)
	}
	return lab.KEK{URI: uri, Env: env, Renew: func(t *testing.T) {
		for _, k := range listKeys(t, uri, env...) {
			if !k.Primary {
				keys(env, "promote", k.Version)
			}
		}
	}}, seen, key
}

// plainMarker is in what a store is given as plaintext. (Marker is different: another test searches
// all of the store for it.)
const plainMarker = "plaintext-that-no-log-may-have-51c0de"

// The logs of a whole run at the highest level, of proxies and of commands, have no key, no token,
// no secret and no byte of an object.
func TestATraceOfAWholeRunHasNoSecretOfAKMS(t *testing.T) {
	lab.TakesLong(t)
	t.Parallel()
	if lab.Direct {
		t.Skip("there are no keys without the proxy")
	}
	for name, c := range map[string]struct {
		// key, if any, opens the keys in the objects' metadata; otherwise the keys that were seen
		// do.
		start func(*testing.T) (kek lab.KEK, seen *recorder, key kms.Key)
		least int // number of secrets, not counting data keys
	}{
		"localfile": {tracedKeyset, 20},
		"vault": {func(t *testing.T) (lab.KEK, *recorder, kms.Key) {
			v := lab.SharedVault(t)
			name := lab.FreeName("traced")
			v.CreateKey(t, name)
			v.Policy(t, name, lab.VaultPolicy(t, name, false))
			roleID, secretID := v.AppRole(t, name, []string{name}, 2*time.Second, 4*time.Second)
			seen := record(t, v.URL)
			return lab.KEK{
				URI: "vault://transit/" + name, Env: []string{"VAULT_ADDR=" + seen.URL, "S3PROXY_VAULT_ROLE_ID=" + roleID, "S3PROXY_VAULT_SECRET_ID=" + secretID},
				Renew: func(t *testing.T) { v.Must(t, "POST", "transit/keys/"+name+"/rotate", nil) },
			}, seen, nil
		}, 30},
		"awskms": {func(t *testing.T) (lab.KEK, *recorder, kms.Key) {
			uri, env, fake, seen := recordedKMS(t)
			seen.secrets[fakekms.SecretAccessKey] = "the KMS's secret access key"
			return lab.MovingAlias(uri, env, fake), seen, nil
		}, 30},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kek, seen, key := c.start(t)
			env := kek.Env
			store := lab.SharedMinIO(t)
			logs := map[string]string{}
			var buckets []string
			trace := append([]string{"--kms", kek.URI, "--log-level", "trace"}, kek.Read...)
			serve := func(more ...string) {
				p := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Env: env, Args: append(more, trace...)})
				bucket := s3test.NewBucket(t, p.S3())
				buckets = append(buckets, bucket)
				s3test.MustPut(t, store.S3(), "/"+bucket+"/plain", []byte(plainMarker)) // for encrypt-existing
				for i := range 5 {
					s3test.RoundTrip(t, p.S3(), bucket, 1000+i)
					s3test.MustPut(t, p.S3(), "/"+bucket+"/"+fmt.Sprint(i), []byte(strings.Repeat(s3test.Marker, 10)))
					if name == "vault" {
						time.Sleep(time.Second) // meanwhile its token is renewed and replaced
					}
				}
				kek.Renew(t)
				for _, args := range [][]string{{"encrypt-existing", "--allow-plaintext-reads"}, {"keys", "rotate", "--objects", "--settle", "0"}, {"keys", "status", "--objects"}, {"keys", "verify"}, {"gc", "--records"}, {"decrypt-existing", "--allow-plaintext-reads"}} {
					target := "s3://" + bucket
					if args[0] == "decrypt-existing" {
						target += "/4" // the others' keys are looked at below
					}
					run := lab.Start(t, args[0], lab.S3proxy(t), append(append(args, trace...), "--upstream", store.URL, target), store.S3().Env(env...))
					if code, ended := run.Wait(time.Minute); code != 0 || !ended {
						t.Errorf("%v: exit code %d: %s", args, code, run.Log())
					}
					logs[fmt.Sprint(args, " beside ", more)] = run.Log()
				}
				p.Term()
				p.Wait(lab.AnswerWithin)
				logs[fmt.Sprint("serve ", more)] = p.Log()
			}
			serve("--log-format", "text", "--key-window-objects", "2")
			serve("--log-format", "json", "--key-window", "0")

			seen.mu.Lock()
			defer seen.mu.Unlock()
			seen.secrets[lab.ClientSecretKey] = "the client's secret"
			seen.secrets[store.SecretKey] = "the store's secret"
			seen.secrets[s3test.Marker] = "an object"
			seen.secrets[plainMarker] = "an object that was not encrypted"
			for _, e := range env {
				name, value, _ := strings.Cut(e, "=")
				if strings.Contains(name, "SECRET") || strings.Contains(name, "TOKEN") {
					seen.secrets[value] = name
				}
			}
			if name == "awskms" {
				lab.WantAllowed(t, seen.calls)
			}
			if len(seen.secrets) < c.least {
				t.Errorf("only %d secrets were seen: %v", len(seen.secrets), seen.calls)
			}
			keys := []kms.Key{key}
			if key == nil {
				keys = seen.seenKeys(kek.URI)
			}
			for _, bucket := range buckets {
				seen.noteDataKeys(t, store, bucket, []string{"k", "0", "1", "2", "3", "plain"}, keys)
			}
			if len(logs) != 14 { // of six commands and a proxy, twice
				t.Errorf("%d logs", len(logs))
			}
			for what, log := range logs {
				if !strings.Contains(log, "TRACE") && !strings.Contains(log, "DEBUG-4") {
					t.Errorf("%s: no trace:\n%.500s", what, log)
				}
				seen.wantNone(t, what, log)
			}
		})
	}
}

// recordedKMS is a key of the fake AWS KMS behind a recorder.
func recordedKMS(t *testing.T) (uri string, env []string, fake *fakekms.Server, kms *recorder) {
	t.Helper()
	uri, env, fake = lab.FakeKMS(t)
	kms = record(t, fake.URL)
	return strings.Replace(uri, fake.URL, kms.URL, 1), env, fake, kms
}
