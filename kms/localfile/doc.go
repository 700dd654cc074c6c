// Package localfile is a KMS in a file: a Tink keyset in JSON, in clear or encrypted
// under a passphrase, in a file that others cannot read.
//
// # URIs
//
// localfile:///etc/s3proxy/keyset.json names the file by its absolute path. There
// are no parameters. The path is not part of the key's identity, since replicas may
// keep the same keyset in different places: a KEK's name is "localfile:#" and
// Tink's key id in decimal.
//
// # Keys
//
// A keyset holds one or several AES-256-GCM keys with Tink's prefix, exactly one of
// them primary. The primary wraps; every enabled key unwraps. A wrapped key is
// Tink's: 0x01 || key id (4 bytes, big-endian) || IV (12) || ciphertext || tag (16),
// which makes 65 bytes for a key of 32. The canonical context is the associated data.
//
// # Changes
//
// A change replaces the file as a whole, under a lock. A [Key] that is in use sees it within a
// second. The history beside the file says what was changed when; it holds no secret.
//
// # Files
//
//   - localfile.go: the driver; key.go: what a key is opened with
//   - change.go: creating and changing keysets; history.go: the lock and the history;
//     lock_unix.go: what these need of the system
//   - reload.go: looking at the file while its keys are in use
//   - keyset.go: reading, checking and writing keysets; passphrase.go: encrypted ones;
//     file.go: private files, written whole
package localfile
