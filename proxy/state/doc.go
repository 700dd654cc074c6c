// Package state keeps the state objects, which are in the store beside the objects of clients:
// window records and the floor of a bucket's keys, its encryption setting, and the state of
// multipart uploads in progress. docs/FORMAT.md defines their names and contents.
//
//   - place.go: Place, the bucket and prefix of the state objects. No client can reach a key below
//     it.
//   - lists.go: what a client sees of a listing that contains state objects.
//   - store.go: Store puts state objects, and deletes them with all their versions.
//   - retention.go: locks them for a shorter time than a bucket's default retention would.
//   - records.go, floors.go: Records, from which the Keyring gets window records and floors.
//
// All requests are the proxy's own, with its credentials. Whatever a store lists below the prefix
// is checked before it is requested or deleted. Nothing here is plaintext, and nothing here opens a
// key.
package state
