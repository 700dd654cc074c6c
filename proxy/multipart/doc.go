// Package multipart keeps the multipart uploads of clients: an upload in the store, whose parts are
// sealed, and beside it what the proxy must know about them. Thanks to that, any replica can take
// any part, and a restart loses nothing.
//
// # What is kept
//
// The state of an upload is a folder among the state objects, named by a hash of bucket, key and
// upload id (docs/FORMAT.md):
//
//	key         the upload's wrapped DEK and the checksum that the client asked for
//	N-...       the record of a sending of part N: its name alone, sealed, says size, ETag and
//	            checksums. The record of a part below 5 MiB has the part's bytes as its body
//	body-...    the bytes of part 10,000, whose number in the store is the trailer's
//	gone        its date says since when sweeps have found no such upload in the store
//
// # The protocol
//
//	Create      create the upload, with the wrapped DEK in the object's metadata -> put the
//	            upload's state. An upload whose state could not be put is aborted.
//	UploadPart  send the part -> put the part's record. Only a record makes a part count: no
//	            part is acknowledged, listed or completed without one.
//	Complete    list the parts -> send the trailer (the part table, and a last part below
//	            5 MiB) as one more part -> complete the upload -> check that the object is this
//	            upload's -> remove the upload's records. No part sent by a client is replaced,
//	            so a Complete that failed anywhere can be repeated from the start. Of many
//	            records only the key is removed before the client is answered.
//	Abort       remove the upload's key -> abort the upload -> check whether the object is this
//	            upload's -> remove the upload's records.
//	Sweep       for each folder: ask the store for the upload of its state -> mark the upload as
//	            gone, and after the grace time remove the upload's records.
//
// Each arrow is a request to the store after which the process may end. Constants name the steps
// (steps.go), and errors contain these names; model_test.go explores all orders of the steps with
// several clients, replicas and crashes.
//
// The store's 200 to a Complete proves nothing (versitygw 1.8 also returns it for an upload that is
// gone), nor does its NoSuchUpload (versitygw hides an upload while it completes it). The possible
// results of an upload are the outcomes in outcome.go. Only the object at the key can prove that
// the upload was completed: it commits to the upload's DEK, and its trailer has the hash of the
// upload's id.
//
// # Files
//
//   - uploads.go: Uploads, what a process knows about all uploads; Target, the object of an upload.
//   - upload.go, create.go: Upload, an open upload, and its state in the store.
//   - part.go, spool.go, etag.go: sending a part, and the ETag that clients see of it.
//   - records.go, recordnames.go, recordcache.go: which parts there are, according to the store and the records.
//   - complete.go, choose.go, outcome.go, false200.go, removal.go: Complete.
//   - abort.go: Abort.
//   - sweep.go, sweeprun.go, sweepmark.go, background.go: the sweep.
//   - folders.go, inprogress.go: the state of uploads, as far as it is readable without a key.
//   - locks.go: one Complete per upload at a time in this process.
//
// The package speaks S3 with the store, and knows nothing of clients' requests or the answers to
// them. Errors for clients are [s3err.Error]s; the error for an upload without state wraps
// [ErrNoState].
package multipart
