// Package state keeps the proxy's own objects, which are in the store beside those of
// clients: window records and the floor of a bucket's keys, its encryption setting, and what
// is kept of multipart uploads in progress. docs/FORMAT.md has their names and contents.
//
//   - place.go: Place, the bucket and prefix that have them; no client gets at a key below it.
//   - lists.go: what a client sees of a listing that they are in.
//   - store.go: Store puts them, and deletes them with all their versions.
//   - retention.go: they are not locked for as long as a bucket's default retention says.
//   - records.go, floors.go: Records, which the Keyring asks for window records and floors.
//
// All requests are the proxy's own, with its credentials. Whatever a store lists below the
// prefix is checked before it is asked for or deleted. Nothing here is plaintext, and
// nothing here opens a key.
package state
