package proxy

// The headers of SSE-S3 and SSE-KMS.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/specifying-kms-encryption.html
const (
	sseHeader        = "X-Amz-Server-Side-Encryption" // all of SSE-C begin with it, too
	sseKeyHeader     = sseHeader + "-Aws-Kms-Key-Id"
	sseContextHeader = sseHeader + "-Context"
	sseBucketHeader  = sseHeader + "-Bucket-Key-Enabled"
)

// shownSSEHeaders are those of answers about an object; its context S3 tells who writes alone.
func shownSSEHeaders() []string { return []string{sseHeader, sseKeyHeader, sseBucketHeader} }
