package clients

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

func TestContentMD5IsTheChecksumThatTheJavaScriptSDKNames(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket, body := s3test.NewBucket(t, at.S3), s3test.Content(1, 1000)
		put := func(digest string) s3test.Answer {
			return s3test.Call{Method: "PUT", Path: "/" + bucket + "/k", Body: body, Headers: map[string]string{"x-amz-sdk-checksum-algorithm": "MD5", "content-md5": digest}}.Do(t, at.S3)
		}
		if got := put(s3test.MD5Of([]byte("other"))); got.Code != "BadDigest" {
			t.Errorf("with another digest: %v", got)
		}
		if got := put(s3test.MD5Of(body)); got.Status != 200 {
			t.Errorf("%v", got)
		}
		if got := (s3test.Call{Method: "PUT", Path: "/" + bucket + "/k", Body: body, Headers: map[string]string{"x-amz-sdk-checksum-algorithm": "MD5"}}).Do(t, at.S3); got.Status != 400 {
			t.Errorf("without a digest: %v", got)
		}
	})
}

func TestBlanksInAListOfAttributesMeanNothing(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := s3test.NewBucket(t, at.S3)
		s3test.MustPut(t, at.S3, "/"+bucket+"/k", []byte("body"))
		got := s3test.Call{Method: "GET", Path: "/" + bucket + "/k", Query: "attributes=", Headers: map[string]string{"x-amz-object-attributes": "ETag , ObjectSize"}}.Do(t, at.S3)
		if got.Status != 200 || !bytes.Contains(got.Body, []byte("<ObjectSize>4</ObjectSize>")) || !bytes.Contains(got.Body, []byte("<ETag>")) {
			t.Errorf("%v %s", got, got.Body)
		}
	})
}

func TestAPartOfACompositeObjectHasItsOwnChecksum(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		client, ctx := s3test.SDK(t, at.S3), t.Context()
		bucket, key := s3test.NewBucket(t, at.S3), "k"
		for _, kind := range []types.ChecksumType{types.ChecksumTypeComposite, types.ChecksumTypeFullObject} {
			begun, err := client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32, ChecksumType: kind})
			if err != nil {
				t.Fatal(err)
			}
			m := &s3test.Upload{T: t, Client: client, Bucket: bucket, Key: key, ID: *begun.UploadId}
			bodies := [][]byte{s3test.Content(1, 5*s3test.MiB), s3test.Content(2, 1000)}
			if _, err := m.Complete(client, m.Send(client, 1, bodies[0]), m.Send(client, 2, bodies[1])); err != nil {
				t.Fatal(err)
			}
			for i, body := range bodies {
				number, want := aws.Int32(int32(i+1)), s3test.CRC32Of(body)
				if kind == types.ChecksumTypeFullObject { // S3 has none of its parts
					want = ""
				}
				head, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key, PartNumber: number, ChecksumMode: types.ChecksumModeEnabled})
				if err != nil || aws.ToString(head.ChecksumCRC32) != want {
					t.Errorf("HEAD of part %d, %s: %v %v, want %s", i+1, kind, aws.ToString(head.ChecksumCRC32), err, want)
				}
				got := s3test.Call{Method: http.MethodGet, Path: "/" + bucket + "/" + key, Query: "partNumber=" + string(rune('1'+i)), Headers: map[string]string{"x-amz-checksum-mode": "ENABLED"}}.Do(t, at.S3)
				if got.Header.Get("x-amz-checksum-crc32") != want || s3test.SameBytes(got.Body, body) != nil {
					t.Errorf("GET of part %d, %s: %q, want %s", i+1, kind, got.Header.Get("x-amz-checksum-crc32"), want)
				}
			}
		}
	})
}
