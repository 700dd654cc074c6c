package objects

import (
	"bytes"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

func TestWritesOfClientsThatSendHeadersNobodyKnowsAreTaken(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		client, ctx := s3test.SDK(t, at.S3), t.Context()
		bucket, key, copied := s3test.NewBucket(t, at.S3), "parts", "copied"
		// AWS's C++ SDK (ClickHouse) and s3fs.
		extra := func(o *s3.Options) {
			o.APIOptions = append(o.APIOptions, smithyhttp.AddHeaderValue("x-amz-api-version", "2006-03-01"), smithyhttp.AddHeaderValue("x-amz-nobody-knows", "1"))
		}
		directive := func(o *s3.Options) {
			o.APIOptions = append(o.APIOptions, smithyhttp.AddHeaderValue("x-amz-metadata-directive", "REPLACE"))
		}
		begun, err := client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key}, extra, directive)
		if err != nil {
			t.Fatal(err)
		}
		body := s3test.Content(1, 100)
		part, err := client.UploadPart(ctx, &s3.UploadPartInput{Bucket: &bucket, Key: &key, UploadId: begun.UploadId, PartNumber: aws.Int32(1), Body: bytes.NewReader(body)}, extra)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: &bucket, Key: &key, UploadId: begun.UploadId,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: part.ETag, ChecksumCRC32: part.ChecksumCRC32}}}}, extra); err != nil {
			t.Fatal(err)
		}
		if _, err := client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &bucket, Key: &copied, CopySource: aws.String(bucket + "/" + key)}, extra); err != nil {
			t.Fatal(err)
		}
		s3test.WantObject(t, client, bucket, copied, body)
		if _, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &key}, extra); err != nil {
			t.Error(err)
		}
		if _, err := client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &bucket, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: &copied}}}}, extra); err != nil {
			t.Error(err)
		}
		if list, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket}); err != nil || len(list.Contents) != 0 {
			t.Errorf("%d objects are left (%v)", len(list.Contents), err)
		}
	})
}
