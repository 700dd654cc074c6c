// Package inplace writes objects again under their own names, beside clients that write
// them: for a client's update of metadata (a copy onto itself), for keys that are wrapped or
// made anew, for plaintext that is encrypted where it is, and the other way round.
//
//   - source.go: Source, an object whose bytes are written again.
//   - write.go, parts.go: its stored bytes go up once more, in one PUT or in the parts that
//     the store has them in, so that an ETag which is of the bytes stays.
//   - recheck.go: the look at the object just before a write counts.
//   - probe.go: whether the store refuses a write whose If-Match does not hold.
//   - renewer.go: Renewer, which reads an object's state, lets a change say what is to be
//     written, and begins anew where another writer was faster.
//   - rekey.go, encrypt.go, encryptold.go, decrypt.go: the changes that need more than a new wrapped key.
//   - headers.go, acl.go: what an object keeps.
//   - tries.go: how often something is begun anew.
//
// Another's write always wins. What is read to be written is authenticated on its way: a
// byte that comes wrong from the store is never written in the place of the right one. A
// store that ignores If-Match is refused (ErrNoConditions), unless the caller says that
// nobody else writes.
package inplace
