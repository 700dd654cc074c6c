package multipart

import (
	"bytes"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

func TestAMultipartObjectOfFormat1IsReadWholeByRangeAndByPart(t *testing.T) {
	for _, name := range []string{lab.OnVersitygw, lab.OnMinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := lab.SharedVersitygw(t)
			if name == lab.OnMinIO {
				store = lab.SharedMinIO(t)
			}
			proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: store})
			client, raw := s3test.SDK(t, proxy.S3()), s3test.SDK(t, store.S3())
			bucket, key := s3test.NewBucket(t, proxy.S3()), "parts"
			sizes := []int{5 << 20, 6<<20 + 17, 70_000}
			plain := s3test.Content(7, 5<<20+6<<20+17+70_000)
			fields, stored := s3test.SealMultipart(t, filepath.Join(proxy.DataDir, "keyset.json"), bucket, key, sizes, slices.Clone(plain), false)
			if _, err := raw.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(stored), Metadata: fields}); err != nil {
				t.Fatal(err)
			}

			check := func(in *s3.GetObjectInput, from, to int) *s3.GetObjectOutput {
				t.Helper()
				in.Bucket, in.Key = &bucket, &key
				out, err := client.GetObject(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				defer out.Body.Close()
				got, err := io.ReadAll(out.Body)
				if err != nil {
					t.Fatal(err)
				}
				if err := s3test.SameBytes(got, plain[from:to]); err != nil {
					t.Error(err)
				}
				return out
			}
			check(&s3.GetObjectInput{}, 0, len(plain))
			edge := 5 << 20
			check(&s3.GetObjectInput{Range: aws.String("bytes=5242870-5242890")}, edge-10, edge+11)
			check(&s3.GetObjectInput{Range: aws.String("bytes=-70001")}, len(plain)-70_001, len(plain))
			check(&s3.GetObjectInput{Range: aws.String("bytes=1000000-")}, 1_000_000, len(plain))
			// The client's part numbers were 1, 3 and 5.
			out := check(&s3.GetObjectInput{PartNumber: aws.Int32(3)}, edge, edge+sizes[1])
			if aws.ToInt32(out.PartsCount) != 3 {
				t.Errorf("parts count %d, want 3", aws.ToInt32(out.PartsCount))
			}
			head, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
			if err != nil {
				t.Fatal(err)
			}
			if aws.ToInt64(head.ContentLength) != int64(len(plain)) || aws.ToString(head.ChecksumCRC32) != "AQIDBA==-3" {
				t.Errorf("HEAD: %d bytes, checksum %s", aws.ToInt64(head.ContentLength), aws.ToString(head.ChecksumCRC32))
			}
			if _, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key, PartNumber: aws.Int32(2)}); (s3test.SDKClient{}).Status(err) != http.StatusRequestedRangeNotSatisfiable {
				t.Errorf("part 2, which does not exist: %v", err)
			}
			list, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket})
			if err != nil || len(list.Contents) != 1 || aws.ToInt64(list.Contents[0].Size) != int64(len(plain)) {
				t.Errorf("listed: %+v, %v", list, err)
			}
		})
	}
}
