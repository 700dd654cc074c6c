// Package inplace writes objects again under their own names, beside clients that write them: to
// update metadata for a client (a copy onto itself), to rewrap or replace keys, to encrypt
// plaintext in place, and to decrypt in place.
//
//   - source.go: Source, an object whose bytes are written again.
//   - write.go, parts.go: sending its stored bytes again, in one PUT or in the parts in which the
//     store keeps them, so that an ETag derived from the bytes stays.
//   - recheck.go: the recheck, just before a write takes effect.
//   - probe.go: whether the store refuses a write whose If-Match does not hold.
//   - renewer.go: Renewer, which reads an object's state, lets a change say what is to be
//     written, and begins anew where another writer was faster.
//   - rekey.go, encrypt.go, encryptold.go, decrypt.go: the changes that need more than a new wrapped key.
//   - headers.go, acl.go: what an object keeps.
//   - tries.go: how often to start over.
//
// Another's write always wins. Bytes that are read in order to be written are authenticated on the
// way: a wrong byte from the store never replaces the right one. A store that ignores If-Match is
// refused (ErrNoConditions), unless the caller says that nobody else writes.
package inplace
