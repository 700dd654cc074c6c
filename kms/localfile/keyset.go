package localfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// maxFile bounds what is read: about 4,000 keys.
const maxFile = 1 << 20

// KeyInfo describes one key of a keyset, without its material.
type KeyInfo struct {
	Version string // Tink's key id in decimal
	Primary bool   // it wraps new keys
	Status  string // "enabled", "disabled" or "destroyed"
	Type    string // "AES256-GCM"
}

// Create makes a keyset with one new AES-256-GCM key, which is its primary, in a new
// file at path with mode 0600. The file appears whole or not at all, also when the
// machine stops, and never replaces another: the error is fs.ErrExist then. The
// directory must exist.
func Create(path string) error {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return fmt.Errorf("making a key for %s: %w", path, err)
	}
	// Room enough that the buffer never grows and leaves a copy behind.
	buffer := bytes.NewBuffer(make([]byte, 0, 4096))
	defer func() { clear(buffer.Bytes()) }()
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(buffer)); err != nil {
		return fmt.Errorf("writing the keyset for %s: %w", path, err)
	}
	if err := writeNew(path, buffer.Bytes()); err != nil {
		return fmt.Errorf("creating keyset file %s: %w", path, err)
	}
	return nil
}

// writeNew writes content under a temporary name and then links it to path: link(2)
// gives a whole file its name and, unlike rename(2), fails when the name is taken.
func writeNew(path string, content []byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".keyset-*.tmp") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, os.Remove(f.Name()))
	}()
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(0o600) // whatever the umask is
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes a new name in dir last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// List describes the keys of the keyset at path, in the keyset's order. It refuses
// what Open refuses.
func List(path string) ([]KeyInfo, error) {
	set, err := load(path)
	if err != nil {
		return nil, err
	}
	return set.infos, nil
}

// loaded is a keyset that has been read and checked.
type loaded struct {
	infos   []KeyInfo
	primary uint32
	aeads   map[uint32]tink.AEAD // the enabled keys
}

func load(path string) (*loaded, error) {
	content, err := readPrivate(path)
	if err != nil {
		return nil, err
	}
	defer clear(content)
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(content)))
	if err != nil {
		// Not err: it may quote what a parser stumbled over, which may be key material.
		return nil, fmt.Errorf("keyset file %s (%d bytes) is not a whole and valid Tink keyset in JSON: restore it from a backup", path, len(content))
	}
	set, err := inspect(handle)
	if err != nil {
		return nil, fmt.Errorf("keyset file %s: %w", path, err)
	}
	return set, nil
}

func inspect(handle *keyset.Handle) (*loaded, error) {
	set := &loaded{aeads: make(map[uint32]tink.AEAD)}
	for i := range handle.Len() {
		entry, err := handle.Entry(i)
		if err != nil {
			return nil, fmt.Errorf("key %d of %d: %w", i+1, handle.Len(), err)
		}
		id := entry.KeyID()
		key, ok := entry.Key().(*aesgcm.Key)
		if !ok || !suits(key) {
			return nil, fmt.Errorf("key %d is not an AES-256-GCM key with Tink's prefix", id)
		}
		set.infos = append(set.infos, KeyInfo{
			Version: version(id),
			Primary: entry.IsPrimary(),
			Status:  strings.ToLower(entry.KeyStatus().String()),
			Type:    "AES256-GCM",
		})
		if entry.KeyStatus() != keyset.Enabled {
			continue
		}
		if set.aeads[id], err = aesgcm.NewAEAD(key); err != nil {
			return nil, fmt.Errorf("key %d: %w", id, err)
		}
		if entry.IsPrimary() {
			set.primary = id
		}
	}
	if _, ok := set.aeads[set.primary]; !ok {
		return nil, errors.New("its primary key is not enabled")
	}
	return set, nil
}

// suits tells whether a key is what the format of wrapped keys needs.
func suits(key *aesgcm.Key) bool {
	p, ok := key.Parameters().(*aesgcm.Parameters)
	return ok && p.KeySizeInBytes() == 32 && p.IVSizeInBytes() == 12 && p.TagSizeInBytes() == 16 &&
		p.Variant() == aesgcm.VariantTink
}

// readPrivate reads a regular file that nobody but its owner may use. A link to one
// will do: that is how Kubernetes mounts a secret.
func readPrivate(path string) (content []byte, err error) {
	// Before it is opened, since opening a pipe waits for its writer.
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("keyset file: %w", err)
	}
	if err := checkPrivate(path, info); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("keyset file: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	// And again, of the file that is read.
	if info, err = f.Stat(); err != nil {
		return nil, fmt.Errorf("keyset file: %w", err)
	}
	if err := checkPrivate(path, info); err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("keyset file %s is %d bytes long; at most %d", path, info.Size(), maxFile)
	}
	content = make([]byte, info.Size())
	if _, err := io.ReadFull(f, content); err != nil {
		clear(content)
		return nil, fmt.Errorf("reading keyset file %s: %w", path, err)
	}
	return content, nil
}

func checkPrivate(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("keyset file %s is not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("keyset file %s has mode %04o, so others than its owner may use the keys: chmod 600 %s "+
			"(a Kubernetes secret: defaultMode 0400)", path, mode, path)
	}
	return nil
}
