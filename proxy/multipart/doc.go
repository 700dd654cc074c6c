// Package multipart keeps the multipart uploads of clients: an upload of the store's, whose
// parts are sealed, and beside it what the proxy must know of them, so that any replica takes
// any part and a restart loses nothing.
//
// # What is kept
//
// The state of an upload is a folder among the proxy's own objects, named by a hash of
// bucket, key and upload id (docs/FORMAT.md):
//
//	key         the upload's wrapped DEK and the checksum that was asked for
//	N-...       the record of a sending of part N: its name alone, sealed, says size, ETag and
//	            checksums. The record of a part below 5 MiB has the part's bytes as its body
//	body-...    the bytes of part 10,000, whose number in the store is the trailer's
//	gone        since when a sweep has found no such upload in the store
//
// # The protocol
//
//	Create      create the upload, with the wrapped DEK in the object's metadata -> put the
//	            upload's state. An upload whose state could not be put is aborted.
//	UploadPart  send the part -> put the part's record. Only a record makes a part count: no
//	            part is acknowledged, listed or completed without one.
//	Complete    list the parts -> send the trailer (the part table, and a last part that is
//	            below 5 MiB) as one more part -> complete the upload -> look whether the object
//	            is this upload's -> remove the upload's records. No part of a client's is
//	            replaced, so that a Complete that failed anywhere is repeated from the start.
//	Abort       remove the upload's key -> abort the upload -> look whether the object is this
//	            upload's -> remove the upload's records.
//	Sweep       of each folder: ask for the upload of a state -> mark the upload as gone, and
//	            after the grace time remove the upload's records.
//
// Each arrow is a request to the store behind which the process may end. The steps are named
// by constants (steps.go) that are in the errors, too; model_test.go goes through all orders
// of them with several clients, replicas and crashes.
//
// The store's 200 to a Complete proves nothing (versitygw 1.8 gives it for an upload that is
// gone), nor does its NoSuchUpload (it hides an upload while it completes it). What became of
// an upload is one of the outcomes in outcome.go, and only the object at the key, which
// commits to the upload's DEK and whose trailer has the hash of its id, proves that it was made.
//
// # Files
//
//   - uploads.go: Uploads, what a process knows of all uploads; Target, the object of one.
//   - upload.go, create.go: Upload, one that is open, and its state in the store.
//   - part.go, spool.go, etag.go: sending a part, and the ETag that clients see of it.
//   - records.go, recordnames.go: which parts there are, by the store and by the records.
//   - complete.go, choose.go, outcome.go, false200.go: Complete.
//   - abort.go: Abort.
//   - sweep.go, background.go, inprogress.go: the state of uploads, looked through without a key.
//   - locks.go: one Complete of an upload at a time in this process.
//
// It speaks S3 with the store and knows nothing of requests or answers of clients. Errors for
// clients are [s3err.Error]s; one of an upload without state wraps [ErrNoState].
package multipart
