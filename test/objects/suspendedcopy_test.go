package objects

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// An object written before versioning, or while it was suspended, is the version "null". Not every
// store accepts that version as a copy's source.
func TestObjectsWithoutAVersionAreCopiedWhateverTheBucketsVersioning(t *testing.T) {
	for name, store := range map[string]func(testing.TB) *lab.Store{lab.OnVersitygw: lab.VersitygwForSuite, lab.OnMinIO: lab.SharedMinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := lab.Proxy(t, lab.ProxyOptions{Upstream: store(t)}).S3()
			client, bucket := s3test.SDK(t, at), s3test.NewBucket(t, at)
			copies := func(when string) {
				t.Helper()
				for _, key := range []string{"before", "suspended"} {
					source := bucket + "/" + key
					if head := (s3test.Call{Method: "HEAD", Path: "/" + source}).Do(t, at); head.Status == 404 {
						continue
					}
					for _, c := range []struct {
						to      string
						headers map[string]string
					}{
						{key + "-copy", map[string]string{}},
						{key + "-streamed", map[string]string{"x-amz-checksum-algorithm": "SHA256"}},
						{key, map[string]string{"x-amz-metadata-directive": "REPLACE", "x-amz-meta-a": when}},
					} {
						c.headers["x-amz-copy-source"] = source
						if a := (s3test.Call{Method: "PUT", Path: "/" + bucket + "/" + c.to, Headers: c.headers}).Do(t, at); a.Status != 200 {
							t.Errorf("%s, %s to %s: %d %s", when, key, c.to, a.Status, a.Body)
						}
					}
				}
			}
			put := func(key string) {
				t.Helper()
				if a := (s3test.Call{Method: "PUT", Path: "/" + bucket + "/" + key, Body: s3test.Content(1, 1000)}).Do(t, at); a.Status != 200 {
					t.Fatal(a)
				}
			}
			put("before")
			copies("no versioning")
			for _, status := range []types.BucketVersioningStatus{types.BucketVersioningStatusEnabled, types.BucketVersioningStatusSuspended} {
				if _, err := client.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: &bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: status}}); err != nil {
					t.Fatal(err)
				}
				if status == types.BucketVersioningStatusSuspended {
					put("suspended")
				}
				copies(string(status))
			}
		})
	}
}
