package clients

import (
	"bytes"
	"io"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// minio-go (Thanos, Mimir, kopia and mc have it) repeats the encryption of an upload in Complete:
// completeMultipartUpload in api-put-object-multipart.go, unless the endpoint is AWS's.
func TestMinioGoEncryptsUploadsInParts(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket, body := s3test.NewBucket(t, at.S3), s3test.Content(31, 12_000_000)
		client := s3test.NewMinioClient(t, at.S3, bucket)
		options := minio.PutObjectOptions{ServerSideEncryption: encrypt.NewSSE(), PartSize: 5 * s3test.MiB}
		if _, err := client.PutObject(t.Context(), bucket, "parts", bytes.NewReader(body), int64(len(body)), options); err != nil {
			t.Fatal(err)
		}
		object, err := client.GetObject(t.Context(), bucket, "parts", minio.GetObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer object.Close()
		got, err := io.ReadAll(object)
		if err == nil {
			err = s3test.SameBytes(got, body)
		}
		if err != nil {
			t.Error(err)
		}
	})
}
