package test

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

func newMultipart(t *testing.T, client *s3.Client, bucket, key string) *partUpload {
	t.Helper()
	out, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key, ContentType: aws.String("text/plain"), Metadata: map[string]string{"color": "red"}})
	if err != nil {
		t.Fatalf("CreateMultipartUpload: %v", err)
	}
	return &partUpload{t: t, client: client, bucket: bucket, key: key, id: *out.UploadId}
}

// partUpload is one upload by a test.
type partUpload struct {
	t           *testing.T
	client      *s3.Client
	bucket, key string
	id          string
}

// send uploads a part by a client, which may be another replica's.
func (m *partUpload) send(client *s3.Client, number int32, body []byte) types.CompletedPart {
	m.t.Helper()
	out, err := client.UploadPart(m.t.Context(), &s3.UploadPartInput{Bucket: &m.bucket, Key: &m.key, UploadId: &m.id, PartNumber: &number, Body: bytes.NewReader(body)})
	if err != nil {
		m.t.Fatalf("UploadPart %d of %d bytes: %v", number, len(body), err)
	}
	return types.CompletedPart{PartNumber: &number, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32}
}

func (m *partUpload) complete(client *s3.Client, parts ...types.CompletedPart) (*s3.CompleteMultipartUploadOutput, error) {
	return client.CompleteMultipartUpload(m.t.Context(), &s3.CompleteMultipartUploadInput{Bucket: &m.bucket, Key: &m.key, UploadId: &m.id, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
}

// putParts uploads an object in parts.
func putParts(ctx context.Context, client *s3.Client, in *s3.CreateMultipartUploadInput, parts [][]byte) error {
	created, err := client.CreateMultipartUpload(ctx, in)
	if err != nil {
		return err
	}
	var done []types.CompletedPart
	for i, p := range parts {
		number := aws.Int32(int32(i + 1))
		out, err := client.UploadPart(ctx, &s3.UploadPartInput{Bucket: in.Bucket, Key: in.Key, UploadId: created.UploadId, PartNumber: number, Body: bytes.NewReader(p)})
		if err != nil {
			return err
		}
		done = append(done, types.CompletedPart{PartNumber: number, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32, ChecksumCRC64NVME: out.ChecksumCRC64NVME})
	}
	_, err = client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: in.Bucket, Key: in.Key, UploadId: created.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: done}})
	return err
}

func uploadID(a answer) string {
	_, rest, _ := strings.Cut(string(a.body), "<UploadId>")
	id, _, _ := strings.Cut(rest, "</UploadId>")
	return escape(id, false)
}

// beginUploads begins so many uploads of each key, side by side, and gives "key id" of each.
func beginUploads(t *testing.T, at lab.S3, bucket string, keys, each int) (begun []string) {
	t.Helper()
	client := sdk(t, at)
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
