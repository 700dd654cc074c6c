// Package s3xml has S3's documents, those of clients and those of stores, and reads them within
// bounds. Whoever sends a document may be an attacker, and a few bytes of XML can ask for any
// amount of memory and stack: nothing in the project decodes XML but through this package.
//
//   - s3xml.go: Decode and its bounds: bytes, depth, elements, length of a text.
//   - reference.go: character references that name no character are refused, where encoding/xml
//     replaces them: of two keys it would make one.
//   - bounded.go: lists that end at the number of entries that S3's lists have.
//   - text.go: Text, a key or prefix, which may hold what XML cannot (encoding-type=url).
//   - element.go: Element, any document, held to a Shape that says what it may contain.
//   - listobjects.go, versions.go, uploads.go, parts.go: listings, in the store's order.
//   - multipartdoc.go, deletions.go, copyresults.go: what Create, Complete, DeleteObjects and
//     the copies exchange.
//   - checksums.go: the checksum elements, which package checksum reads and sets.
//
// It knows no object and no store, and imports nothing of the project.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/Type_API_Reference.html
package s3xml
