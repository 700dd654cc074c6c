// Package s3name holds the names of places in a store: bucket, key, upload id and version id.
// Whoever names a place may be an attacker: a client, by a path, a document, a header, a form or
// a query; and a store, by what it answers. A name is checked once, where it comes in, and is of
// a type from then on that nothing but the checks here can make. upstream.Request takes no other.
//
//   - s3name.go: the types and their parsers. An error is one of five classes, for which the
//     caller has S3's words.
//   - query.go: the ids, prefixes and markers of a query.
//
// What is at stake: a store that keeps objects as files takes a name for a path. There
// an upload id of `../../../victim` once deleted another bucket.
package s3name
