// Package sigv4 verifies AWS Signature Version 4 as S3 does, in all of its shapes, and where that
// is allowed its predecessor, Version 2. It decodes the bodies that clients sign, and signs
// requests for a store. It knows no bucket, and credentials only by the functions it is given.
//
// Of clients:
//
//   - auth.go: Verifier and Auth, what a verified request says of its sender and its body.
//   - parse.go, canonical.go: the credential, and the string that is signed.
//   - signingkeys.go: the keys of a day, kept.
//   - verify.go, presigned.go: the Authorization header, and presigned URLs.
//   - v2.go, v2canonical.go: the same of Version 2.
//   - form.go, policy.go: forms, whose policy is signed in the place of the request.
//   - body.go, chunked.go: Auth.Body, whose io.EOF says that length, hash, chunk signatures and
//     trailers hold. Nothing before it does.
//
// To a store, by aws-sdk-go-v2's signer: sign.go, and encode.go for bodies in signed chunks.
//
// Errors are [s3err.Error]s with S3's codes and texts. A comparison of secrets takes the same
// time whatever they are.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
package sigv4
