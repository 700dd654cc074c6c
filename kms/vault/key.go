package vault

import (
	"sync/atomic"
)

// Key is a key of a transit engine.
type Key struct {
	connection *Connection
	mount, key string
	// seen is set once the key is known to exist: if the token allows it, Vault makes a key
	// when asked to encrypt under a new name.
	seen atomic.Bool
}

// URI implements [kms.Key].
func (k *Key) URI() string { return Scheme + "://" + k.mount + "/" + k.key }

// Scheme is the scheme of the driver's URIs.
const Scheme = "vault"
