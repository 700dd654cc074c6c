// Package checksum has S3's checksums of plaintext: which a client declares, whether its
// body keeps them, and how those of parts become an object's.
//
//   - algorithms.go: the algorithms and what S3 calls them.
//   - declared.go: what the headers of a request declare, with S3's rules and error texts.
//   - reader.go: Reader, a body that ends well only if all that was declared of it holds.
//   - beside.go: a hash that is computed beside a body.
//   - combine.go: the checksum of an object from its parts', without their bytes.
//   - elements.go: checksums in S3's documents.
//
// It promises nothing about ciphertext, whose integrity is the envelope's.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
package checksum
