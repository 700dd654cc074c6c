// Package object knows what one object in the store is: its key, its size, its facts, its
// end, and the ETag that clients see of it. It seals and opens objects, and asks the store
// for them through the upstream client; it knows nothing of requests or answers.
//
//   - settings.go: Settings, what a bucket is configured to, and the Keyring that it needs.
//   - stored.go, stat.go: Stored, what one answer of the store tells of an object, and Objects, which
//     reads such answers, opens the key and asks for ranges of that very object.
//   - trailer.go: the object's end. Seen and opened, it proves that nothing is missing.
//   - cache.go: what was seen of objects; it answers nobody, and refuses what does not fit.
//   - etag.go, etagof.go: ETags as clients see them, and of a given object.
//   - metadata.go: the metadata that the store keeps for the proxy (docs/FORMAT.md).
//   - seal.go: Sealing, the one way from plaintext to what is stored; parts of uploads apart.
//   - open.go: Read, OpenWhole, OpenSpan: the one way back. reread.go: stored bytes that were
//     authenticated on their way. offline.go: objects without a running proxy.
//   - setting.go: sealed documents among the proxy's own objects.
//   - inparts.go, spool.go: bodies that pass one PUT, and bodies that are kept meanwhile.
//   - inspect.go: what can be told of an object without its key.
//   - errors.go: what is wrong with an object, by class.
//
// Nothing is believed of a store's answer before the key has opened it: the size is the
// store's word until Unlock, the end until Trailer.
package object
