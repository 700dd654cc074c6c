package localfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// Create makes a keyset with one new AES-256-GCM key, its primary, in a new file at path with
// mode 0600, encrypted if there is a passphrase. The file appears whole or not at all, even if
// the machine stops. It never replaces another: the error is then fs.ErrExist. The directory
// must exist.
func Create(path string, given ...Option) error {
	o := gather(given)
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return fmt.Errorf("making a key for %s: %w", path, err)
	}
	passphrase, err := o.readPassphrase()
	if err != nil {
		return err
	}
	defer clear(passphrase)
	content, err := fileContent(handle, passphrase)
	if err != nil {
		return fmt.Errorf("writing the keyset for %s: %w", path, err)
	}
	defer clear(content)
	if err := writeNew(path, content); err != nil {
		return fmt.Errorf("creating keyset file %s: %w", path, err)
	}
	if history, err := lock(context.Background(), path); err == nil {
		note(history, event{Change: changeMade, Version: version(handle.KeysetInfo().GetPrimaryKeyId())})
		_ = history.Close()
	}
	return nil
}

// Rotate adds a new key to the keyset at path, makes it the primary, and returns its version.
// What the others wrapped still opens.
func Rotate(ctx context.Context, path string, given ...Option) (string, error) {
	var id uint32
	err := edit(ctx, path, given, func(m *keyset.Manager) (e event, err error) {
		if id, err = m.Add(aead.AES256GCMKeyTemplate()); err != nil {
			return event{}, err
		}
		return event{Change: changeMade, Version: version(id)}, m.SetPrimary(id)
	})
	if err != nil {
		return "", err
	}
	return version(id), nil
}

// Add adds a new key that wraps nothing yet, and returns its version. If replicas have copies of
// the file, all of them must get one with the new key before it is promoted.
func Add(ctx context.Context, path string, given ...Option) (string, error) {
	var id uint32
	err := edit(ctx, path, given, func(m *keyset.Manager) (e event, err error) {
		id, err = m.Add(aead.AES256GCMKeyTemplate())
		return event{Change: changeMade, Version: version(id)}, err
	})
	if err != nil {
		return "", err
	}
	return version(id), nil
}

// Promote makes an enabled version the primary.
func Promote(ctx context.Context, path, version string, given ...Option) error {
	return editVersion(ctx, path, version, given, "promoted", (*keyset.Manager).SetPrimary)
}

// Disable makes a version unusable until Enable. It refuses the primary.
func Disable(ctx context.Context, path, version string, given ...Option) error {
	return editVersion(ctx, path, version, given, "disabled", (*keyset.Manager).Disable)
}

// Enable undoes Disable.
func Enable(ctx context.Context, path, version string, given ...Option) error {
	return editVersion(ctx, path, version, given, "enabled", (*keyset.Manager).Enable)
}

// Destroy removes a version from the file for good: what only this version can open is lost. It
// refuses the primary. Backups of the file still have the version.
func Destroy(ctx context.Context, path, version string, given ...Option) error {
	return editVersion(ctx, path, version, given, "destroyed", (*keyset.Manager).Delete)
}

// SetPassphrase encrypts the keyset under a new passphrase; nil stands for none. The options say
// how to read the file as it is now.
func SetPassphrase(ctx context.Context, path string, passphrase []byte, given ...Option) error {
	return change(ctx, path, gather(given), func(handle *keyset.Handle, _ []byte) ([]byte, event, error) {
		content, err := fileContent(handle, passphrase)
		return content, event{Change: "passphrase changed"}, err
	})
}

// Rotate makes a new version in the file. The error is kms.ErrDenied if the file or its folder
// may not be written, kms.ErrUnavailable if the file is broken or cannot be written for another
// reason, or the context's.
func (k *Key) Rotate(ctx context.Context) (string, error) {
	version, err := Rotate(ctx, k.path, k.given)
	switch {
	case err == nil:
		k.refresh(true)
		return identity + "#" + version, nil
	case ctx.Err() != nil:
		return "", err
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("%w: %w", kms.ErrDenied, err)
	default:
		return "", fmt.Errorf("%w: %w", kms.ErrUnavailable, err)
	}
}

// given is an Option that sets the options of k.
func (k *Key) given(o *options) { *o = k.options }

func editVersion(ctx context.Context, path, v string, given []Option, what string, do func(*keyset.Manager, uint32) error) error {
	return edit(ctx, path, given, func(m *keyset.Manager) (event, error) {
		id, err := parseKEKName(identity + "#" + v)
		if err != nil {
			return event{}, fmt.Errorf("%q is not a version of a local key: s3proxy keys list shows them", v)
		}
		if err := do(m, id); err != nil {
			return event{}, fmt.Errorf("version %s: %w", v, err)
		}
		return event{Change: what, Version: v}, nil
	})
}

// edit changes the keys of the keyset at path.
func edit(ctx context.Context, path string, given []Option, do func(*keyset.Manager) (event, error)) error {
	return change(ctx, path, gather(given), func(handle *keyset.Handle, passphrase []byte) ([]byte, event, error) {
		m := keyset.NewManagerFromHandle(handle)
		e, err := do(m)
		if err != nil {
			return nil, e, err
		}
		if handle, err = m.Handle(); err != nil {
			return nil, e, err
		}
		// Never write a keyset that would not open.
		if _, err := inspect(handle); err != nil {
			return nil, e, err
		}
		content, err := fileContent(handle, passphrase)
		return content, e, err
	})
}

// change replaces the file at path with what makeContent gives, under the lock.
func change(ctx context.Context, path string, o options, makeContent func(h *keyset.Handle, passphrase []byte) ([]byte, event, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// A link stays a link, and everybody who reaches the file by another path shares its lock.
	path = realPath(path)
	if _, err := os.Stat(path); err != nil { // without a file, make no history
		return fmt.Errorf("keyset file: %w", err)
	}
	history, err := lock(ctx, path)
	if err != nil {
		return err
	}
	defer history.Close()
	handle, old, err := read(path, o)
	if err != nil {
		return err
	}
	passphrase, err := o.readPassphrase()
	if err != nil {
		return err
	}
	defer clear(passphrase)
	content, e, err := makeContent(handle, passphrase)
	if err != nil {
		return fmt.Errorf("changing keyset file %s: %w", path, err)
	}
	defer clear(content)
	if err := replace(path, content, old); err != nil {
		return fmt.Errorf("changing keyset file %s: %w", path, err)
	}
	note(history, e)
	return nil
}

// fileContent is the content of a file with this keyset; in clear if passphrase is nil.
func fileContent(handle *keyset.Handle, passphrase []byte) ([]byte, error) {
	plaintext, err := encode(handle)
	if err != nil || passphrase == nil {
		return plaintext, err
	}
	defer clear(plaintext)
	return seal(plaintext, passphrase)
}

// realPath follows links. It returns a path that leads nowhere as it is, so that opening it gives
// the error.
func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}
