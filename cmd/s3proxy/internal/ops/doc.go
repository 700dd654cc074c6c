// Package ops is what the commands over whole buckets do: keys rotate, keys rekey, keys status,
// keys verify, gc, encrypt-existing and decrypt-existing. It knows no flags, no terminal and no configuration.
//
// Every command has three steps. It makes a [Plan] for each bucket, or for what is below a prefix
// in it ([Target]); [Run] runs one after the other; each gives a [Report] that the caller prints.
// A report can be encoded as JSON, and the names in it are part of the interface of the commands
// (docs/COMMANDS.md).
// What could not be done is in the report's Failures, by name in the report itself or, if it
// ended the plan, in the error; with an error the report says what was done until then. A
// [Mistake] is an error in what was asked, a [No] the answer to a question.
//
// [Buckets] gives stores and keys: it opens what the configuration names and makes nothing.
// [Progress] shows how far a walk is.
//
// What all plans promise: clients may read and write meanwhile, and a client's write wins. What
// was done stays done: if a plan is interrupted, run it again. A dry run changes nothing. If the
// KMS does not answer, the plan ends, since every object would fail. If something is wrong with
// one object, the report says so under its name, and the plan goes on with the others, up to
// 10,000 such failures. Nothing here prints or logs a key.
//
// How the files hang together, from the top:
//
//   - status.go: which KEKs are safe to destroy. statuscount.go counts what names each of them
//     and what covers it; kekuse.go says, from the counts, why a KEK must stay. This is the most
//     dangerous yes of the product: on any doubt the answer is "not known"
//   - rotate.go: a new KEK version for all. newversions.go makes it, rotaterecords.go rewraps the
//     window records, and renew.go renews the metadata of objects, in place
//   - rekey.go: new keys for all objects, after a theft. rekeykeks.go finds the KEKs to
//     refuse from then on, rekeyleft.go counts what is left below the floor
//   - encryptexisting.go: encrypts plaintext objects; decryptexisting.go: the way back; verify.go:
//     reads everything, keeps nothing
//   - gcuploads.go and gcrecords.go: remove what nothing needs
//   - rewrite.go: writes objects again in place, in passes; renewal, rekey, encrypt-existing
//     and decrypt-existing say which objects, and how to change them; oldversions.go: what it leaves
//   - inventory.go: the metadata of all that a bucket has; walk.go: many objects at once, at a
//     [Rate]
//   - plan.go, buckets.go, progress.go, target.go, item.go, answer.go: what the above have in common
package ops
