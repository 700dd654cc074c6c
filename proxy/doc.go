// Package proxy speaks S3 with clients: it encrypts what they write, decrypts what they read,
// and speaks S3 with the store behind it. It is the layer that knows HTTP requests and answers;
// what is stored is known to the packages below it (docs/FORMAT.md, CONTRIBUTING.md).
//
// # The way of one request
//
// ServeHTTP reads the request (request.go), verifies its signature (package sigv4), names the S3
// operation by the table in operations.go, and checks what the client may do (authz.go), what it
// names (names.go) and what it asks for (request.go: refusedHeader). Then it calls the row's
// handler. Nothing of a request reaches the store but what its row lists.
//
//   - proxy.go, exchange.go: Proxy, which lives as long as the process, and exchange: one request,
//     its answer and the objects of its bucket. That is all a handler is given; what it shares
//     with other requests (uploads, caches, the budget of held bodies) it names: x.proxy.
//   - request.go, hosts.go, names.go, partnumber.go, objectlock.go: what was asked.
//   - operation.go, operations.go, subresources.go: the table of operations; docs/S3.md is made
//     from it.
//   - answer.go, objectheaders.go, sendobject.go, errors.go: what is answered.
//   - timeouts.go, keepalive.go, broken.go: clients and stores that are slow or gone.
//   - trace.go: what a log may show.
//
// # Handlers
//
//   - put.go, storeupload.go: PutObject. post.go, form.go: browsers' forms, which become one.
//   - get.go, getrange.go, range.go: GetObject and HeadObject. attributes.go: GetObjectAttributes.
//   - copy.go, copysource.go, copyinplace.go: CopyObject and UploadPartCopy.
//   - multipart.go, complete.go, listparts.go, listuploads.go: uploads (package multipart).
//   - list.go, listversions.go, liststates.go, sharedprefix.go: listings, with plaintext sizes and
//     without the proxy's own objects.
//   - delete.go, deleteconditions.go; conditions.go: If-Match and its like.
//   - bucket.go, buckets.go, deletebucket.go, lifecycle.go, bucketencryption.go, encryption.go:
//     buckets, and what S3 calls server-side encryption.
//   - forward.go, passthrough*.go: what goes on re-signed; buckets that are not encrypted.
//   - anonymous.go: clients without credentials, whom the store judges.
//
// # Promises
//
// A client never gets a byte that was not authenticated, nor a 200 for a body whose signature,
// length or checksum did not hold; an answer that has begun and cannot be ended well is cut off.
// The store never gets plaintext of a bucket that is encrypted. All state is in the store: any
// replica can take any request.
package proxy
