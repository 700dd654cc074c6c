package localfile

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/kms"
)

var (
	_ kms.Key     = (*Key)(nil)
	_ kms.Rotator = (*Key)(nil)
	_ kms.Namer   = (*Key)(nil)
)

// Opener opens localfile URIs, with the environment's passphrase if there is one. It is for
// [kms.Registry.Register] under [Scheme].
func Opener(_ context.Context, uri *url.URL) (kms.Key, error) {
	path, err := Path(uri)
	if err != nil {
		return nil, err
	}
	return Open(path, WithPassphrase(PassphraseFromEnvironment))
}

// Path gives the path of the file that a localfile URI names.
func Path(uri *url.URL) (string, error) {
	const want = "write localfile:///absolute/path/keyset.json"
	switch {
	case uri.Scheme != Scheme:
		return "", fmt.Errorf("%s is not a localfile URI: %s", uri, want)
	case uri.Host != "" || uri.User != nil || uri.Opaque != "" || !filepath.IsAbs(uri.Path):
		return "", fmt.Errorf("%s does not name an absolute path (with three slashes): %s", uri, want)
	case uri.RawQuery != "" || uri.ForceQuery:
		return "", fmt.Errorf("unknown parameter in %s: localfile has none: %s", uri, want)
	case uri.Fragment != "":
		return "", fmt.Errorf("%s has a fragment: it cannot name a key, since the keyset's primary key is used: %s", uri, want)
	case strings.HasSuffix(uri.Path, "/"):
		return "", fmt.Errorf("%s names a directory: %s", uri, want)
	}
	return filepath.Clean(uri.Path), nil
}

// Open reads the keyset at path, following symbolic links. It refuses a file that others than
// its owner may read or write. If there is no file, the error is fs.ErrNotExist.
func Open(path string, given ...Option) (*Key, error) {
	k := &Key{path: path, options: gather(given)}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("keyset file: %w", err)
	}
	set, err := load(path, k.options)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	k.looked.Store(now.UnixNano())
	k.state.Store(&state{set: set, seen: info, read: now})
	return k, nil
}

// URI is "localfile:" for every keyset.
func (k *Key) URI() string { return identity }

// Wrap encrypts with the primary key.
func (k *Key) Wrap(ctx context.Context, plaintext []byte, c kms.Context) (kms.Wrapped, error) {
	if err := ctx.Err(); err != nil {
		return kms.Wrapped{}, err
	}
	set := k.now().set
	blob, err := set.aeads[set.primary].Encrypt(plaintext, c.Canonical())
	if err != nil {
		return kms.Wrapped{}, fmt.Errorf("wrapping with local key %d: %w", set.primary, err)
	}
	return kms.Wrapped{KEK: kekName(set.primary), Blob: blob}, nil
}

// Unwrap decrypts with the key that both w.KEK and the blob's prefix name. The error is
// kms.ErrInvalid, kms.ErrNotFound, or the context's.
func (k *Key) Unwrap(ctx context.Context, w kms.Wrapped, c kms.Context) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	id, err := parseKEKName(w.KEK)
	if err != nil {
		return nil, err
	}
	prefix := binary.BigEndian.AppendUint32([]byte{1}, id)
	if !bytes.HasPrefix(w.Blob, prefix) {
		return nil, fmt.Errorf("%w: it was not wrapped by %s", kms.ErrInvalid, w.KEK)
	}
	aead, ok := k.now().set.aeads[id]
	if !ok { // another replica may have made it a moment ago
		aead, ok = k.refresh(true).set.aeads[id]
	}
	if !ok {
		// Even while the file is broken: a record under a known key may open it.
		return nil, fmt.Errorf("%w: %s is not in the keyset or is disabled", kms.ErrNotFound, w.KEK)
	}
	plaintext, err := aead.Decrypt(w.Blob, c.Canonical())
	if err != nil {
		// Tink says no more than that it failed.
		return nil, fmt.Errorf("%w by %s", kms.ErrInvalid, w.KEK)
	}
	return plaintext, nil
}

// Current names the primary key. The error is kms.ErrUnavailable while the file is broken, or
// the context's.
func (k *Key) Current(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	now := k.now()
	if now.broken != nil {
		return "", fmt.Errorf("%w: %w", kms.ErrUnavailable, now.broken)
	}
	return kekName(now.set.primary), nil
}

// Check fails if the file is broken, and wraps and unwraps random bytes.
func (k *Key) Check(ctx context.Context) error {
	if _, err := k.Current(ctx); err != nil {
		return err
	}
	probe := make([]byte, 32)
	_, _ = rand.Read(probe) // never fails
	c := kms.Context{"check": "localfile"}
	w, err := k.Wrap(ctx, probe, c)
	if err != nil {
		return err
	}
	got, err := k.Unwrap(ctx, w, c)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, probe) {
		return errors.New("local key: unwrapping gave other bytes than were wrapped")
	}
	return nil
}

// Named implements [kms.Namer].
func (k *Key) Named(_ context.Context, version string) (string, error) {
	if version == "" {
		return identity, nil
	}
	id, err := parseKEKName(identity + "#" + version)
	if err != nil {
		return "", err
	}
	return kekName(id), nil
}
