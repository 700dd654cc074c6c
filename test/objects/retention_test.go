package objects

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// State objects under retention must not keep alive a bucket that its client has emptied.
func TestABucketWithADefaultRetentionGoesWhenItsClientsObjectsHave(t *testing.T) {
	if lab.Direct {
		t.Skip("without the proxy there are no state objects")
	}
	for _, name := range lab.RealStores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := openVersioned(t, name)
			client, ctx := s3test.SDK(t, at.S3), t.Context()
			bucket := lockedForADay(t, client)
			put, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("k"), Body: bytes.NewReader(s3test.Content(1, 100))})
			if err != nil {
				t.Fatal(err)
			}
			m := s3test.Begin(t, client, bucket, "parts")
			m.Send(client, 1, s3test.Content(1, 100))
			if _, err := client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &bucket, Key: &m.Key, UploadId: &m.ID}); err != nil {
				t.Fatal(err)
			}
			if _, err := client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &bucket}); err == nil || !strings.Contains(err.Error(), "BucketNotEmpty") {
				t.Errorf("with an object of the client: %v", err)
			}
			if _, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: aws.String("k"), VersionId: put.VersionId, BypassGovernanceRetention: aws.Bool(true)}); err != nil {
				t.Fatal(err)
			}
			if _, err := client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &bucket}); err != nil {
				t.Errorf("with only state objects: %v", err)
			}
		})
	}
}

// A proxy ends uploads even if its credentials at the store may not bypass retention.
func TestAnUploadEndsThoughTheStoreKeepsItsStateForAMinute(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no state")
	}
	for _, name := range lab.RealStores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := lab.SharedMinIO(t)
			if name == lab.OnVersitygw {
				store = lab.VersitygwForSuite(t)
			}
			uri, _ := lab.NewKeyset(t)
			forward := lab.WayTo(t, store)
			strict := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Amz-Bypass-Governance-Retention") != "" {
					w.WriteHeader(http.StatusForbidden)
					fmt.Fprint(w, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
					return
				}
				forward.ServeHTTP(w, r)
			}))
			t.Cleanup(strict.Close)
			client := s3test.SDK(t, lab.Proxy(t, lab.ProxyOptions{Upstream: store, UpstreamURL: strict.URL, Args: []string{"--kms", uri}}).S3())
			bucket := lockedForADay(t, client)
			m := s3test.Begin(t, client, bucket, "parts")
			part := m.Send(client, 1, s3test.Content(1, 100))
			if _, err := client.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{Bucket: &bucket, Key: &m.Key, UploadId: &m.ID}); err != nil {
				t.Fatal(err)
			}
			if _, err := m.Complete(client, part); err == nil || !strings.Contains(err.Error(), "NoSuchUpload") {
				t.Errorf("completed after Abort: %v", err)
			}
			m = s3test.Begin(t, client, bucket, "parts")
			if _, err := m.Complete(client, m.Send(client, 1, s3test.Content(1, 100))); err != nil {
				t.Error(err)
			}
			if _, err := client.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: &bucket}); err == nil || !strings.Contains(err.Error(), "BucketNotEmpty") {
				t.Errorf("the bucket: %v", err)
			}
		})
	}
}

// lockedForADay makes a bucket with a default retention of one day.
func lockedForADay(t *testing.T, client *s3.Client) string {
	t.Helper()
	bucket := lab.FreeName("locked")
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket, ObjectLockEnabledForBucket: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	lock := &types.ObjectLockConfiguration{ObjectLockEnabled: types.ObjectLockEnabledEnabled, Rule: &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: types.ObjectLockRetentionModeGovernance, Days: aws.Int32(1)}}}
	if _, err := client.PutObjectLockConfiguration(t.Context(), &s3.PutObjectLockConfigurationInput{Bucket: &bucket, ObjectLockConfiguration: lock}); err != nil {
		t.Fatal(err)
	}
	return bucket
}
