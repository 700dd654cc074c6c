// Package kms wraps and unwraps keys with a key management service (KMS), and keeps the keys
// that a proxy uses between two calls to it.
//
// [Keyring] is what a proxy uses. It makes the data key (DEK) of each object, binds it to the
// object's [Name], and wraps it under a window key: one for each bucket, process and hour, which
// the key-encryption key (KEK) in the KMS wraps in turn. It promises that the KMS is called once
// for each window, never for each object; that a key opens only under the name that it was
// wrapped for; that a window's record is stored before any object names it; and that a KMS that
// does not answer is never taken for one that refuses. In window 0 there are no window keys, and
// the KEK wraps each DEK.
//
// A driver is a sub-package. To write one you need kms.go and errors.go: a driver implements
// [Key], classifies its errors, and passes the suite in kms/kmstest. Deadlines, caching, and the
// binding of keys to objects live once, in the Keyring.
//
// How the files hang together, from the top:
//
//   - keyring.go: the Keyring and what it makes and opens; rewrap.go: how a rotation rewraps
//     window records ([Rewrapping])
//   - window.go: the current window of each bucket; poll.go ends windows after a rotation;
//     cache.go keeps unwrapped window keys for reading
//   - floor.go: the floor that a rekey puts under a bucket; floors.go remembers those of the
//     buckets in use, and floorrecord.go is a floor as it is stored
//   - record.go: a window record as it is stored; name.go: what each key is bound to
//   - flight.go: one call at a time for the same thing, with a deadline
//   - registry.go: drivers by the scheme of their URIs; kms.go: what a driver implements;
//     errors.go: the classes of its errors
//
// docs/FORMAT.md has the bytes, docs/KEYS.md what an operator sees of them.
package kms
