// Package cors has the CORS rules of a bucket, as S3 has them: which pages of other sites may have
// a browser ask for what, and what those pages see of the answers.
//
//   - document.go: the document of PutBucketCors, read and checked.
//   - match.go: which rule allows a request, and the headers that say so.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/ManageCorsUsing.html
package cors
