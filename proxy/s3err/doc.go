// Package s3err has the errors of the S3 protocol: their codes, statuses and texts as S3 writes
// them, their XML form, and the way back from a store's answer to an Error.
//
//   - s3err.go: Error. Templates are compared with errors.Is, by their code; WithMessage, With and
//     Because make a copy with another text, with fields, or with the cause that only the log sees.
//   - codes.go: the templates.
//   - write.go: the answer to a client.
//   - response.go: an Error from the store's answer, and from a document that came with 200.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
package s3err
