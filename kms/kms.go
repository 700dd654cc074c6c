package kms

import (
	"context"
	"encoding/binary"
	"slices"
	"time"
)

// Key is one key-encryption key (KEK) in a KMS. The key itself never leaves the KMS. Its
// methods must be safe for concurrent use. Each returns an error of one of the classes in
// errors.go, or the context's error once ctx is done. No error's text may contain plaintext
// or key material.
type Key interface {
	// URI is the key's identity without a version, such as "localfile:" or
	// "vault://transit/photos": visible ASCII, without "#". It leaves out what may differ
	// between replicas (an address, a file's path), and never changes.
	URI() string

	// Wrap encrypts plaintext, a key of at most 64 bytes, and binds it to c. The result names the
	// key and version that made it: if that were asked separately, a rotation in between would give
	// a wrong label. For 32 bytes the blob is at most 256 bytes long.
	Wrap(ctx context.Context, plaintext []byte, c Context) (Wrapped, error)

	// Unwrap decrypts the result of Wrap. It refuses with ErrInvalid a changed blob, another
	// context, and a w.KEK whose version is not the one that the blob itself names; with
	// ErrNotFound a version that is gone or, if the KMS cannot tell from the name, that never
	// existed.
	Unwrap(ctx context.Context, w Wrapped, c Context) ([]byte, error)

	// Current is the versioned URI that Wrap would return now. It is cheap enough to call every few
	// seconds, which is how running proxies notice that the key was rotated.
	Current(ctx context.Context) (kek string, err error)

	// Check returns an error if the key cannot wrap and unwrap now.
	Check(ctx context.Context) error
}

// Rotator is a Key that can make a new version of itself, which Wrap uses from then on. What older
// versions wrapped still opens. It returns the new version's URI.
type Rotator interface {
	Rotate(ctx context.Context) (kek string, err error)
}

// Rewrapper is a Key whose KMS can rewrap what opener, this key or another key of the same KMS,
// would unwrap in the context from, and nothing else. The result is wrapped under this key's
// current version and bound to the context to, and the plaintext never leaves the KMS. A KMS that
// would lose the context on the way must not implement Rewrapper; for it, the Keyring unwraps and
// wraps.
type Rewrapper interface {
	Rewrap(ctx context.Context, opener Key, w Wrapped, from, to Context) (Wrapped, error)
}

// Namer is a Key whose versions people may spell differently from Wrapped.KEK. Code that decides
// whether a version is safe to destroy must not mistake another spelling of its name for a key that
// nothing needs.
type Namer interface {
	// Named returns Wrapped.KEK's spelling of a version of this key. For "" it returns what the key
	// was opened as: its URI, which stands for all versions, or one version if the KMS has no
	// others. If no version has the name, the error is ErrInvalid or ErrNotFound.
	Named(ctx context.Context, version string) (kek string, err error)
}

// Clock is a Key whose KMS tells its time: it refuses requests that are signed at a different time.
type Clock interface {
	Time(ctx context.Context) (time.Time, error)
}

// Privileged is a Key whose KMS can say what the process's login may do with it.
type Privileged interface {
	// Privileges names what the login may do beyond the needs of a proxy, and which of these needs
	// it lacks. The error is ErrDenied if it may not ask.
	Privileges(ctx context.Context) (beyond, lacks []string, err error)
}

// Wrapped is a key that a KEK has wrapped.
type Wrapped struct {
	// KEK is the versioned URI of the key that made the blob: the Key's URI, "#",
	// and a version that is not empty. At most 200 bytes of visible ASCII.
	// It only selects among configured keys; no driver calls an address from it.
	KEK string
	// Blob is the wrapped key, opaque to all code but the driver.
	Blob []byte
}

// Context is what a wrapped key is bound to, as named pairs: to unwrap it, one must give the
// same pairs. It is not secret; a KMS may write it into its log. Names and values must not be
// empty. A KMS with named pairs of its own (AWS) takes them as they are; the others take
// Canonical as associated data.
type Context map[string]string

// contextLabel separates a context from all other associated data.
const contextLabel = "s3proxy context v1"

// Canonical is the one encoding of c as bytes:
//
//	"s3proxy context v1" || count u32 || count * (length u32 || name || length u32 || value)
//
// sorted by name, integers big-endian. No two contexts have the same encoding, since the
// length of each text precedes it.
func (c Context) Canonical() []byte {
	size := len(contextLabel) + 4
	names := make([]string, 0, 8)
	for name, value := range c {
		size += 8 + len(name) + len(value)
		names = append(names, name)
	}
	slices.Sort(names)
	out := make([]byte, 0, size)
	out = append(out, contextLabel...)
	out = binary.BigEndian.AppendUint32(out, uint32(len(c)))
	for _, name := range names {
		out = appendText(out, name)
		out = appendText(out, c[name])
	}
	return out
}

func appendText(out []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(out, uint32(len(s))), s...)
}
