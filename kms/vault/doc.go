// Package vault wraps keys with the transit engine of HashiCorp Vault, or of OpenBao,
// which has the same API.
//
// # URIs
//
// vault://transit/photos names the key photos of the transit engine at transit/; the last
// element is the key, everything before it the mount: vault://team/a/transit/photos. Vault's own
// variables (VAULT_ADDR, VAULT_CACERT, VAULT_NAMESPACE, ...) say where Vault is and how to trust
// it; [Settings] say how to log in. A KEK's name is the URI, "#",
// and the version in decimal.
//
// # Keys
//
// The key's type must be one that takes associated data (aes256-gcm96, aes128-gcm96,
// chacha20-poly1305) and must not be derived. The canonical context is the associated
// data. A blob is what follows "vault:v3:" in Vault's ciphertext, decoded: 60 bytes
// for a key of 32. Only the KEK's name has the version, and Vault opens the blob under no other.
//
// Vault's rewrap takes no associated data, so that a [Key] is not a [kms.Rewrapper]: to rewrap,
// the Keyring unwraps and wraps.
// https://developer.hashicorp.com/vault/api-docs/secret/transit
//
// # Files
//
//   - vault.go: the driver; key.go: its key; uri.go: its URIs
//   - connection.go: the client that all keys share; settings.go and login.go: how it logs in;
//     token.go: how it keeps its token
//   - errors.go: classes of Vault's errors; foreign.go: answers that are not Vault's
package vault
