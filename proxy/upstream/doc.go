// Package upstream is the client of the store behind the proxy: it builds a request from named
// fields, signs it with the proxy's own credentials, and turns the store's refusals into
// s3err.Errors. What a client of the proxy sends is never copied into a request: a caller names
// each header and parameter.
//
//   - client.go: Client, one store. Do sends a Request and tries again what may be tried again.
//   - request.go, names.go: Request; its places are of the types of s3name.
//   - payload.go: how a body is signed, so that the store sees whether it has its end.
//   - addressing.go: the bucket in the path or in the host's name.
//   - refusal.go: the store's refusals.
//   - calls.go, pages.go, upload.go, deletions.go: calls by name: documents, listings, multipart
//     uploads, DeleteObjects.
//   - retention.go: whether a bucket locks what is put into it.
//
// A Client is safe for concurrent use. It remembers what was learnt of its store (Learned), and
// keeps no state of objects.
package upstream
