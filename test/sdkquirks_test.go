package test

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
)

func TestContentMD5IsTheChecksumThatTheJavaScriptSDKNames(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket, body := newBucket(t, at.S3), content(1, 1000)
		put := func(digest string) answer {
			return call{method: "PUT", path: "/" + bucket + "/k", body: body, headers: map[string]string{"x-amz-sdk-checksum-algorithm": "MD5", "content-md5": digest}}.do(t, at.S3)
		}
		if got := put(md5Of([]byte("other"))); got.code != "BadDigest" {
			t.Errorf("with another digest: %v", got)
		}
		if got := put(md5Of(body)); got.status != 200 {
			t.Errorf("%v", got)
		}
		if got := (call{method: "PUT", path: "/" + bucket + "/k", body: body, headers: map[string]string{"x-amz-sdk-checksum-algorithm": "MD5"}}).do(t, at.S3); got.status != 400 {
			t.Errorf("without a digest: %v", got)
		}
	})
}

func TestBlanksInAListOfAttributesMeanNothing(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := newBucket(t, at.S3)
		mustPut(t, at.S3, "/"+bucket+"/k", []byte("body"))
		got := call{method: "GET", path: "/" + bucket + "/k", query: "attributes=", headers: map[string]string{"x-amz-object-attributes": "ETag , ObjectSize"}}.do(t, at.S3)
		if got.status != 200 || !bytes.Contains(got.body, []byte("<ObjectSize>4</ObjectSize>")) || !bytes.Contains(got.body, []byte("<ETag>")) {
			t.Errorf("%v %s", got, got.body)
		}
	})
}

func TestAPartOfACompositeObjectHasItsOwnChecksum(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		client, ctx := sdk(t, at.S3), t.Context()
		bucket, key := newBucket(t, at.S3), "k"
		for _, kind := range []types.ChecksumType{types.ChecksumTypeComposite, types.ChecksumTypeFullObject} {
			begun, err := client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32, ChecksumType: kind})
			if err != nil {
				t.Fatal(err)
			}
			m := &partUpload{t: t, client: client, bucket: bucket, key: key, id: *begun.UploadId}
			bodies := [][]byte{content(1, 5*mib), content(2, 1000)}
			if _, err := m.complete(client, m.send(client, 1, bodies[0]), m.send(client, 2, bodies[1])); err != nil {
				t.Fatal(err)
			}
			for i, body := range bodies {
				number, want := aws.Int32(int32(i+1)), crc32Of(body)
				if kind == types.ChecksumTypeFullObject { // S3 has none of its parts
					want = ""
				}
				head, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key, PartNumber: number, ChecksumMode: types.ChecksumModeEnabled})
				if err != nil || aws.ToString(head.ChecksumCRC32) != want {
					t.Errorf("HEAD of part %d, %s: %v %v, want %s", i+1, kind, aws.ToString(head.ChecksumCRC32), err, want)
				}
				got := call{method: http.MethodGet, path: "/" + bucket + "/" + key, query: "partNumber=" + string(rune('1'+i)), headers: map[string]string{"x-amz-checksum-mode": "ENABLED"}}.do(t, at.S3)
				if got.header.Get("x-amz-checksum-crc32") != want || sameBytes(got.body, body) != nil {
					t.Errorf("GET of part %d, %s: %q, want %s", i+1, kind, got.header.Get("x-amz-checksum-crc32"), want)
				}
			}
		}
	})
}
