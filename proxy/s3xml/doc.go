// Package s3xml defines S3's documents, those of clients and those of stores, and reads them within
// bounds. The sender of a document may be an attacker, and a few bytes of XML can demand any amount
// of memory and stack. Therefore all XML in the project is decoded by this package.
//
//   - s3xml.go: Decode and its bounds: bytes, depth, elements, length of a text.
//   - reference.go: refuses character references that name no character. encoding/xml replaces
//     them, which would turn two different keys into one.
//   - bounded.go: lists limited to the number of entries that S3's lists have.
//   - text.go: Text, a key or prefix, which may hold what XML cannot (encoding-type=url).
//   - element.go: Element, an arbitrary document, checked against a Shape that says what it may
//     contain.
//   - plain.go, plaindocument.go: the same reading without encoding/xml, where a document is plain;
//     plainlong.go: in a window, where it is long; plain*.go for each document, and writer.go and
//     *writer.go for writing.
//   - listobjects.go, versions.go, uploads.go, parts.go: listings, in the store's order.
//   - multipartdoc.go, deletions.go, copyresults.go: the documents of Create, Complete,
//     DeleteObjects and the copies.
//   - checksums.go: the checksum elements, which package checksum reads and sets.
//
// It knows nothing of objects and stores, and imports nothing of the project.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/Type_API_Reference.html
package s3xml
