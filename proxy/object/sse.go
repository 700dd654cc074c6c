package object

// The headers of SSE-S3 and SSE-KMS.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/specifying-kms-encryption.html
const (
	SSEHeader        = "X-Amz-Server-Side-Encryption" // also the beginning of the headers of SSE-C
	SSEKeyHeader     = SSEHeader + "-Aws-Kms-Key-Id"
	SSEContextHeader = SSEHeader + "-Context"
	SSEBucketHeader  = SSEHeader + "-Bucket-Key-Enabled"
)

// ShownSSEHeaders are the SSE headers in answers about an object. S3 shows the context only to
// writers.
func ShownSSEHeaders() []string { return []string{SSEHeader, SSEKeyHeader, SSEBucketHeader} }
