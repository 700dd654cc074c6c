package vault

import (
	"sync/atomic"
)

// Key is a key of a transit engine.
type Key struct {
	connection *Connection
	mount, key string
	// seen is set when the key was there: Vault makes a key of a name that it encrypts
	// under, if the token may.
	seen atomic.Bool
}

// URI implements [kms.Key].
func (k *Key) URI() string { return Scheme + "://" + k.mount + "/" + k.key }

// Scheme is the scheme of the driver's URIs.
const Scheme = "vault"
