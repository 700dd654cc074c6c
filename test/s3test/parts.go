package s3test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
)

// Begin creates a multipart upload.
func Begin(t *testing.T, client *s3.Client, bucket, key string) *Upload {
	t.Helper()
	out, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key, ContentType: aws.String("text/plain"), Metadata: map[string]string{"color": "red"}})
	if err != nil {
		t.Fatalf("CreateMultipartUpload: %v", err)
	}
	return &Upload{T: t, Client: client, Bucket: bucket, Key: key, ID: *out.UploadId}
}

// Upload is a multipart upload made by a test.
type Upload struct {
	T           *testing.T
	Client      *s3.Client
	Bucket, Key string
	ID          string
}

// Send uploads a part through a client, possibly that of another replica.
func (m *Upload) Send(client *s3.Client, number int32, body []byte) types.CompletedPart {
	m.T.Helper()
	out, err := client.UploadPart(m.T.Context(), &s3.UploadPartInput{Bucket: &m.Bucket, Key: &m.Key, UploadId: &m.ID, PartNumber: &number, Body: bytes.NewReader(body)})
	if err != nil {
		m.T.Fatalf("UploadPart %d of %d bytes: %v", number, len(body), err)
	}
	return types.CompletedPart{PartNumber: &number, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32}
}

// Complete completes the upload through a client, possibly that of another replica.
func (m *Upload) Complete(client *s3.Client, parts ...types.CompletedPart) (*s3.CompleteMultipartUploadOutput, error) {
	return client.CompleteMultipartUpload(m.T.Context(), &s3.CompleteMultipartUploadInput{Bucket: &m.Bucket, Key: &m.Key, UploadId: &m.ID, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
}

// PutParts uploads an object in parts.
func PutParts(ctx context.Context, client *s3.Client, in *s3.CreateMultipartUploadInput, parts [][]byte) error {
	created, err := client.CreateMultipartUpload(ctx, in)
	if err != nil {
		return err
	}
	var done []types.CompletedPart
	for i, p := range parts {
		number := aws.Int32(int32(i + 1))
		out, err := client.UploadPart(ctx, &s3.UploadPartInput{Bucket: in.Bucket, Key: in.Key, UploadId: created.UploadId, PartNumber: number, Body: bytes.NewReader(p), ChecksumAlgorithm: in.ChecksumAlgorithm})
		if err != nil {
			return err
		}
		done = append(done, types.CompletedPart{PartNumber: number, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32, ChecksumCRC64NVME: out.ChecksumCRC64NVME, ChecksumSHA256: out.ChecksumSHA256})
	}
	_, err = client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: in.Bucket, Key: in.Key, UploadId: created.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: done}})
	return err
}

// UploadID is the id from an answer to CreateMultipartUpload, escaped for a query.
func UploadID(a Answer) string {
	_, rest, _ := strings.Cut(string(a.Body), "<UploadId>")
	id, _, _ := strings.Cut(rest, "</UploadId>")
	return Escape(id, false)
}

// BeginUploads creates each uploads for every one of keys keys, in parallel, and returns "key id"
// for each.
func BeginUploads(t *testing.T, at lab.S3, bucket string, keys, each int) (begun []string) {
	t.Helper()
	client := SDK(t, at)
	var all sync.WaitGroup
	var mu sync.Mutex
	for worker := range 8 {
		all.Go(func() {
			for n := worker; n < keys*each; n += 8 {
				key := fmt.Sprintf("k%04d", n%keys)
				out, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32c})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				begun = append(begun, key+" "+*out.UploadId)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	slices.Sort(begun)
	return begun
}
