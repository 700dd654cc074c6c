package vault

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/s3proxy/s3proxy/kms"
)

var (
	_ kms.Key     = (*Key)(nil)
	_ kms.Rotator = (*Key)(nil)
	_ kms.Namer   = (*Key)(nil)
)

// Wrap implements [kms.Key].
func (k *Key) Wrap(ctx context.Context, plaintext []byte, c kms.Context) (kms.Wrapped, error) {
	if !k.seen.Load() {
		if _, err := k.latest(ctx); err != nil {
			return kms.Wrapped{}, err
		}
	}
	return k.encrypt(ctx, plaintext, c)
}

func (k *Key) encrypt(ctx context.Context, plaintext []byte, c kms.Context) (kms.Wrapped, error) {
	answer, err := k.write(ctx, "encrypt", map[string]any{
		"plaintext":       base64.StdEncoding.EncodeToString(plaintext),
		"associated_data": base64.StdEncoding.EncodeToString(c.Canonical()),
	})
	if err != nil {
		return kms.Wrapped{}, err
	}
	text, _ := answer["ciphertext"].(string)
	version, blob, err := parseCiphertext(text)
	if err != nil {
		return kms.Wrapped{}, fmt.Errorf("%w: %s: Vault's answer to encrypt: %w", kms.ErrUnavailable, k.URI(), err)
	}
	return kms.Wrapped{KEK: k.named(version), Blob: blob}, nil
}

// Unwrap implements [kms.Key].
func (k *Key) Unwrap(ctx context.Context, w kms.Wrapped, c kms.Context) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	version, err := k.versionOf(w.KEK)
	if err != nil {
		return nil, err
	}
	answer, err := k.write(ctx, "decrypt", map[string]any{
		"ciphertext":      formatCiphertext(version, w.Blob),
		"associated_data": base64.StdEncoding.EncodeToString(c.Canonical()),
	})
	if err != nil {
		return nil, err
	}
	text, _ := answer["plaintext"].(string)
	plaintext, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(plaintext) == 0 {
		clear(plaintext)
		return nil, fmt.Errorf("%w: %s: Vault's answer to decrypt has no plaintext", kms.ErrUnavailable, k.URI())
	}
	return plaintext, nil
}

// Current implements [kms.Key]. It reads the key's settings or, if the token may not, encrypts
// something that is not secret.
func (k *Key) Current(ctx context.Context) (string, error) {
	version, err := k.latest(ctx)
	if err != nil {
		return "", err
	}
	return k.named(version), nil
}

// latest gives the version that encrypts now.
func (k *Key) latest(ctx context.Context) (uint64, error) {
	var answer *api.Secret
	err := k.connection.do(ctx, func(ctx context.Context, client *api.Client) (err error) {
		answer, err = client.Logical().ReadWithContext(ctx, k.path("keys"))
		if err == nil && answer == nil { // this is how the library reports a 404
			return &api.ResponseError{HTTPMethod: http.MethodGet, StatusCode: http.StatusNotFound}
		}
		return err
	})
	if isDenied(err) {
		// The token may not read the key. Vault makes no key for a token that may only update.
		w, err := k.encrypt(ctx, make([]byte, 32), kms.Context{"purpose": "version"})
		if err != nil {
			return 0, err
		}
		k.seen.Store(true)
		return k.versionOf(w.KEK)
	}
	if err != nil {
		return 0, k.classify(ctx, "read the key", err)
	}
	if err := k.usable(answer.Data); err != nil {
		return 0, err
	}
	version, err := latestVersion(answer)
	if err != nil {
		return 0, fmt.Errorf("%w: %s: %w", kms.ErrUnavailable, k.URI(), err)
	}
	k.seen.Store(true)
	return version, nil
}

func latestVersion(answer *api.Secret) (uint64, error) {
	number, _ := answer.Data["latest_version"].(json.Number)
	version, err := strconv.ParseUint(number.String(), 10, 64)
	if err != nil || version == 0 {
		return 0, errors.New("the answer from Vault has no latest version")
	}
	return version, nil
}

// usable refuses a key that cannot bind a context, or needs another parameter.
func (k *Key) usable(settings map[string]any) error {
	kind, _ := settings["type"].(string)
	switch kind {
	case "":
		return fmt.Errorf("%w: %s: Vault's answer does not name the type of the key", kms.ErrUnavailable, k.URI())
	case "aes256-gcm96", "aes128-gcm96", "chacha20-poly1305":
	default:
		return fmt.Errorf("%w: %s is of type %q, which takes no associated data: make a key of type aes256-gcm96", kms.ErrDenied, k.URI(), kind)
	}
	if derived, _ := settings["derived"].(bool); derived {
		return fmt.Errorf("%w: %s derives its keys (derived=true), which s3proxy does not use: make a key without it", kms.ErrDenied, k.URI())
	}
	return nil
}

// Named implements [kms.Namer].
func (k *Key) Named(_ context.Context, version string) (string, error) {
	if version == "" {
		return k.URI(), nil
	}
	number, err := k.versionOf(k.URI() + "#" + version)
	if err != nil {
		return "", err
	}
	return k.named(number), nil
}

// Rotate implements [kms.Rotator].
func (k *Key) Rotate(ctx context.Context) (string, error) {
	if _, err := k.latest(ctx); err != nil {
		return "", err
	}
	var answer *api.Secret
	err := k.connection.do(ctx, func(ctx context.Context, client *api.Client) (err error) {
		answer, err = client.Logical().WriteWithContext(context.WithValue(ctx, once{}, true), k.path("keys")+"/rotate", nil)
		return err
	})
	if err != nil {
		return "", k.classify(ctx, "rotate the key", err)
	}
	if answer != nil { // older Vaults give an empty answer
		if version, err := latestVersion(answer); err == nil {
			return k.named(version), nil
		}
	}
	return k.Current(ctx)
}

// Check implements [kms.Key]: it wraps and unwraps a key that serves nothing else. A Vault that
// nobody has initialized also says that it is sealed; Check tells the two apart.
func (k *Key) Check(ctx context.Context) error {
	err := k.check(ctx)
	if err != nil && strings.Contains(err.Error(), textSealed) {
		if status, failed := k.connection.client.Sys().SealStatusWithContext(ctx); failed == nil && !status.Initialized {
			return fmt.Errorf("%w: %s: Vault is not initialized", kms.ErrUnavailable, k.URI())
		}
	}
	return err
}

func (k *Key) check(ctx context.Context) error {
	if _, err := k.latest(ctx); err != nil {
		return err
	}
	probe := make([]byte, 32)
	_, _ = rand.Read(probe) // never fails
	c := kms.Context{"purpose": "check"}
	w, err := k.Wrap(ctx, probe, c)
	if err != nil {
		return err
	}
	got, err := k.Unwrap(ctx, w, c)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(probe, got) != 1 {
		return fmt.Errorf("%w: %s returned another key than it wrapped", kms.ErrInvalid, k.URI())
	}
	return nil
}

// write calls an operation of the engine on the key.
func (k *Key) write(ctx context.Context, operation string, body map[string]any) (map[string]any, error) {
	var answer *api.Secret
	err := k.connection.do(ctx, func(ctx context.Context, client *api.Client) (err error) {
		answer, err = client.Logical().WriteWithContext(ctx, k.path(operation), body)
		return err
	})
	if err != nil {
		return nil, k.classify(ctx, operation, err)
	}
	if answer == nil {
		return nil, fmt.Errorf("%w: %s: Vault's answer to %s is empty", kms.ErrUnavailable, k.URI(), operation)
	}
	return answer.Data, nil
}

func (k *Key) path(operation string) string { return k.mount + "/" + operation + "/" + k.key }

func (k *Key) named(version uint64) string { return k.URI() + "#" + strconv.FormatUint(version, 10) }

// versionOf reads the version at the end of a KEK's name, as named writes it.
func (k *Key) versionOf(kek string) (uint64, error) {
	text, ours := strings.CutPrefix(kek, k.URI()+"#")
	version, err := strconv.ParseUint(text, 10, 31)
	if !ours || err != nil || version == 0 || k.named(version) != kek {
		return 0, fmt.Errorf("%w: %q does not name a version of %s", kms.ErrInvalid, kek, k.URI())
	}
	return version, nil
}

// ciphertextPrefix begins Vault's ciphertexts; a version in decimal and a colon follow.
const ciphertextPrefix = "vault:v"

func parseCiphertext(text string) (version uint64, blob []byte, err error) {
	rest, ok := strings.CutPrefix(text, ciphertextPrefix)
	number, encoded, found := strings.Cut(rest, ":")
	version, err = strconv.ParseUint(number, 10, 31)
	if !ok || !found || err != nil || version == 0 {
		return 0, nil, fmt.Errorf("the ciphertext does not begin with %s, a version and a colon", ciphertextPrefix)
	}
	blob, err = base64.StdEncoding.DecodeString(encoded)
	if err != nil || formatCiphertext(version, blob) != text {
		return 0, nil, errors.New("the ciphertext is not base64")
	}
	return version, blob, nil
}

func formatCiphertext(version uint64, blob []byte) string {
	return ciphertextPrefix + strconv.FormatUint(version, 10) + ":" + base64.StdEncoding.EncodeToString(blob)
}
