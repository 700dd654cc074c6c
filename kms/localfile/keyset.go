package localfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// KeyInfo describes one key of a keyset, without its material.
type KeyInfo struct {
	Version string    `json:"version"`       // Tink's key id in decimal
	Primary bool      `json:"primary"`       // whether it wraps new keys
	Status  string    `json:"status"`        // "enabled", "disabled" or "destroyed"
	Type    string    `json:"type"`          // "AES256-GCM"
	Made    time.Time `json:"made,omitzero"` // according to the history; zero if unknown
}

// List describes the keys of the keyset at path, in the keyset's order. It refuses the same
// files as Open.
func List(path string, given ...Option) ([]KeyInfo, error) {
	set, err := load(path, gather(given))
	if err != nil {
		return nil, err
	}
	made := madeTimes(path)
	for i := range set.infos {
		set.infos[i].Made = made[set.infos[i].Version]
	}
	return set.infos, nil
}

// loaded is a keyset that was read and checked.
type loaded struct {
	infos   []KeyInfo
	primary uint32
	aeads   map[uint32]tink.AEAD // the enabled keys
}

func load(path string, o options) (*loaded, error) {
	handle, _, err := read(path, o)
	if err != nil {
		return nil, err
	}
	set, err := inspect(handle)
	if err != nil {
		return nil, fmt.Errorf("keyset file %s: %w", path, err)
	}
	return set, nil
}

// read reads the keyset at path, whatever keys are in it. The FileInfo describes the file that
// was read.
func read(path string, o options) (*keyset.Handle, fs.FileInfo, error) {
	content, info, err := readPrivate(path)
	if err != nil {
		return nil, nil, err
	}
	defer clear(content)
	passphrase, err := o.readPassphrase()
	if err != nil {
		return nil, nil, err
	}
	defer clear(passphrase)
	switch {
	case isSealed(content) && passphrase == nil:
		return nil, nil, fmt.Errorf("keyset file %s is encrypted under a passphrase, but none is set: set %s or %s", path, EnvPassphrase, EnvPassphraseFile)
	case isSealed(content):
		plaintext, err := unseal(content, passphrase)
		if err != nil {
			return nil, nil, fmt.Errorf("keyset file %s (%d bytes) %w", path, len(content), err)
		}
		defer clear(plaintext)
		content = plaintext
	case passphrase != nil && bytes.HasPrefix(content, []byte("{")):
		return nil, nil, fmt.Errorf("keyset file %s is not encrypted, but a passphrase is set: "+
			"encrypt it with s3proxy keys passphrase, or unset %s and %s", path, EnvPassphrase, EnvPassphraseFile)
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(content)))
	if err != nil {
		// Not err: it may quote the text that the parser failed at, which may be key material.
		return nil, nil, fmt.Errorf("keyset file %s (%d bytes) is not a complete and valid Tink keyset in JSON: restore it from a backup", path, len(content))
	}
	return handle, info, nil
}

// encode gives the keyset in clear. The caller must clear it.
func encode(handle *keyset.Handle) ([]byte, error) {
	// With room for some 80 keys, the buffer does not grow and leave copies behind.
	buffer := bytes.NewBuffer(make([]byte, 0, 1<<14))
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(buffer)); err != nil {
		clear(buffer.Bytes())
		return nil, err
	}
	return buffer.Bytes(), nil
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

// suits tells whether a key is of the kind that the format of wrapped keys needs.
func suits(key *aesgcm.Key) bool {
	p, ok := key.Parameters().(*aesgcm.Parameters)
	return ok && p.KeySizeInBytes() == 32 && p.IVSizeInBytes() == 12 && p.TagSizeInBytes() == 16 &&
		p.Variant() == aesgcm.VariantTink
}
