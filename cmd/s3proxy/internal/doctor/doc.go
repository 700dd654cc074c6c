// Package doctor looks at what a proxy needs, and says of each thing whether it is well, what was
// found and what to do: the machine (local.go), keys (keys.go), clocks (clock.go), and, in one
// bucket, what the store does (bucket.go; payloads.go, conditions.go, parts.go). endpoint.go looks
// at a running proxy from a client's side.
//
// A check is a function that gives one [Finding]. It changes nothing but test objects, in a bucket
// that somebody has named for it, below a prefix of their own ([Bucket]); these are removed at
// the end. Nothing here prints or logs a key.
package doctor
