// Package object knows what an object in the store is: its key, its size, its facts, its end, and
// the ETag that clients see. It seals and opens objects, and asks the store for them through the
// upstream client. It knows nothing of clients' requests or the answers to them.
//
//   - settings.go: Settings, the configuration of a bucket, and the Keyring that it needs.
//   - stored.go, stat.go: Stored, what one answer of the store says about an object, and Objects,
//     which reads such answers, opens the key and asks for ranges of that very object.
//   - trailer.go: the object's end. Once opened, it proves that nothing is missing.
//   - cache.go: what was seen of objects. It answers no client, and refuses what does not fit.
//   - etag.go, etagof.go: ETags as clients see them, and the ETag of a given object.
//   - metadata.go: the metadata that the store keeps for the proxy (docs/FORMAT.md).
//   - seal.go: Sealing, the only way from plaintext to stored bytes, except for parts of uploads.
//   - open.go: Read, OpenWhole, OpenSpan: the only way back. reread.go: stored bytes, authenticated
//     while they are read. offline.go: objects without a running proxy.
//   - setting.go: sealed documents among the state objects.
//   - inparts.go, spool.go: bodies too large for one PUT, and bodies that are buffered.
//   - inspect.go: what can be said about an object without its key.
//   - errors.go: what is wrong with an object, by class.
//
// Nothing in a store's answer is trusted before the key has confirmed it: the size is the store's
// word until Unlock, the end until Trailer.
package object
