package objects

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

func TestSettingsOfBucketsAndObjectsReachTheStoreAndComeBack(t *testing.T) {
	lab.OnThese(t, lab.RealStores, func(t *testing.T, at lab.Target) {
		client, ctx := s3test.SDK(t, at.S3), t.Context()
		bucket, key := s3test.NewBucket(t, at.S3), "k"
		s3test.MustPut(t, at.S3, "/"+bucket+"/"+key, []byte("body"))
		tags := &types.Tagging{TagSet: []types.Tag{{Key: aws.String("a"), Value: aws.String("b c")}}}
		if _, err := client.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{Bucket: &bucket, Key: &key, Tagging: tags}); err != nil {
			t.Fatal(err)
		}
		got, err := client.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: &bucket, Key: &key})
		if err != nil || len(got.TagSet) != 1 || *got.TagSet[0].Value != "b c" {
			t.Errorf("GetObjectTagging: %v, %v", got, err)
		}
		if _, err := client.DeleteObjectTagging(ctx, &s3.DeleteObjectTaggingInput{Bucket: &bucket, Key: &key}); err != nil {
			t.Error(err)
		}
		if _, err := client.PutBucketTagging(ctx, &s3.PutBucketTaggingInput{Bucket: &bucket, Tagging: tags}); err != nil {
			t.Error(err)
		}
		policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::%s/*"]}]}`, bucket)
		if _, err := client.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: &bucket, Policy: &policy}); err != nil {
			t.Fatal(err)
		}
		if p, err := client.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: &bucket}); err != nil || !strings.Contains(*p.Policy, "s3:GetObject") {
			t.Errorf("GetBucketPolicy: %v, %v", p, err)
		}
		// A policy that makes the bucket public does so at the store, not at the proxy.
		resp, err := http.Get(at.URL + "/" + bucket + "/" + key)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if want := http.StatusForbidden; !lab.Direct && resp.StatusCode != want {
			t.Errorf("an unsigned GET: %s, want %d", resp.Status, want)
		}
		if _, err := client.DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: &bucket}); err != nil {
			t.Error(err)
		}
		if _, err := client.GetBucketAcl(ctx, &s3.GetBucketAclInput{Bucket: &bucket}); err != nil {
			t.Error(err)
		}
	})
}

func TestVersionsAreListedReadAndDeletedByTheirIDs(t *testing.T) {
	for _, name := range lab.RealStores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := openVersioned(t, name)
			client, ctx := s3test.SDK(t, at.S3), t.Context()
			bucket, key := s3test.NewBucket(t, at.S3), "dir/k"
			if _, err := client.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: &bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}}); err != nil {
				t.Fatal(err)
			}
			var ids []string
			bodies := [][]byte{s3test.Content(1, 10), s3test.Content(2, 2_000_000), s3test.Content(3, 70_000)}
			for _, b := range bodies {
				out, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(b)})
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, aws.ToString(out.VersionId))
			}
			m := s3test.Begin(t, client, bucket, key)
			if _, err := m.Complete(client, m.Send(client, 1, s3test.Content(4, 5*s3test.MiB)), m.Send(client, 2, s3test.Content(5, 3))); err != nil {
				t.Fatal(err)
			}
			if _, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &key}); err != nil {
				t.Fatal(err)
			}
			sizes := map[string]int64{}
			markers := 0
			in := &s3.ListObjectVersionsInput{Bucket: &bucket, MaxKeys: aws.Int32(2)}
			for range 10 {
				page, err := client.ListObjectVersions(ctx, in)
				if err != nil {
					t.Fatal(err)
				}
				if n := len(page.Versions) + len(page.DeleteMarkers); aws.ToBool(page.IsTruncated) && n != 2 {
					t.Errorf("a page before the last has %d entries", n)
				}
				markers += len(page.DeleteMarkers)
				for _, v := range page.Versions {
					if *v.Key != key || sizes[*v.VersionId] != 0 {
						t.Errorf("%s %s listed, perhaps again", *v.Key, *v.VersionId)
					}
					sizes[*v.VersionId] = *v.Size
				}
				if !aws.ToBool(page.IsTruncated) {
					break
				}
				in.KeyMarker, in.VersionIdMarker = page.NextKeyMarker, page.NextVersionIdMarker
			}
			if len(sizes) != 4 || markers != 1 {
				t.Errorf("%d versions and %d delete markers", len(sizes), markers)
			}
			for i, id := range ids {
				if sizes[id] != int64(len(bodies[i])) {
					t.Errorf("version %d is listed with %d bytes, want %d", i, sizes[id], len(bodies[i]))
				}
				got, err := s3test.SDKClient{Client: client, Bucket: bucket}.GetVersion(ctx, key, id)
				if err == nil {
					err = s3test.SameBytes(got, bodies[i])
				}
				if err != nil {
					t.Errorf("version %d: %v", i, err)
				}
			}
			if _, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &key, VersionId: &ids[0]}); err != nil {
				t.Error(err)
			}
			if _, err := (s3test.SDKClient{Client: client, Bucket: bucket}).GetVersion(ctx, key, ids[0]); err == nil {
				t.Error("a deleted version is still there")
			}
		})
	}
}

// A bucket with a default retention locks everything written to it. The state objects must not be
// locked as long as the clients' objects.
func TestOwnObjectsAreLockedForAMinuteWhereTheBucketLocksForADay(t *testing.T) {
	for _, name := range lab.RealStores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := openVersioned(t, name)
			client, ctx := s3test.SDK(t, at.S3), t.Context()
			bucket := lockedForADay(t, client)
			if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("k"), Body: bytes.NewReader(s3test.Content(1, 100))}); err != nil {
				t.Fatal(err)
			}
			m := s3test.Begin(t, client, bucket, "parts")
			m.Send(client, 1, s3test.Content(1, 100)) // not completed, so that its state stays
			head, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: aws.String("k")})
			if err != nil || name == lab.OnMinIO && time.Until(aws.ToTime(head.ObjectLockRetainUntilDate)) < 12*time.Hour { // versitygw 1.8 does not report the default
				t.Errorf("the client's object: locked until %v, %v", aws.ToTime(head.ObjectLockRetainUntilDate), err)
			}
			raw := s3test.SDK(t, at.store)
			list, err := raw.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: aws.String(".s3proxy/")})
			if err != nil || len(list.Contents) < 3 {
				t.Fatalf("%d state objects, %v", len(list.Contents), err)
			}
			for _, o := range list.Contents {
				head, err := raw.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: o.Key})
				if err != nil || time.Until(aws.ToTime(head.ObjectLockRetainUntilDate)) > 2*time.Minute || head.ObjectLockMode == "" {
					t.Errorf("%s: locked until %v (%s), %v", *o.Key, aws.ToTime(head.ObjectLockRetainUntilDate), head.ObjectLockMode, err)
				}
			}
		})
	}
}

// When a store refuses something, the client sees the store's own words.
func TestARefusalOfTheStoreIsTheSameThroughTheProxy(t *testing.T) {
	if lab.Direct {
		t.Skip("the test itself compares store and proxy")
	}
	lab.OnThese(t, lab.RealStores, func(t *testing.T, at lab.Target) {
		bucket := s3test.NewBucket(t, at.S3)
		s3test.MustPut(t, at.S3, "/"+bucket+"/there", []byte("x"))
		for name, c := range map[string]s3test.Call{
			"GET of no key":               {Method: "GET", Path: "/" + bucket + "/absent"},
			"GET of no bucket":            {Method: "GET", Path: "/no-such-bucket-x/k"},
			"PUT into no bucket":          {Method: "PUT", Path: "/no-such-bucket-x/k", Body: []byte("x")},
			"LIST of no bucket":           {Method: "GET", Path: "/no-such-bucket-x", Query: "list-type=2"},
			"a bad version":               {Method: "GET", Path: "/" + bucket + "/there", Query: "versionId=nonsense"},
			"no policy":                   {Method: "GET", Path: "/" + bucket, Query: "policy="},
			"no tags of a bucket":         {Method: "GET", Path: "/" + bucket, Query: "tagging="},
			"no lock configuration":       {Method: "GET", Path: "/" + bucket, Query: "object-lock="},
			"tags of no key":              {Method: "GET", Path: "/" + bucket + "/absent", Query: "tagging="},
			"tags that are no XML":        {Method: "PUT", Path: "/" + bucket + "/there", Query: "tagging=", Body: []byte("nonsense")},
			"a policy that is no JSON":    {Method: "PUT", Path: "/" + bucket, Query: "policy=", Body: []byte("nonsense")},
			"a bad max-keys":              {Method: "GET", Path: "/" + bucket, Query: "list-type=2&max-keys=x"},
			"parts of no upload":          {Method: "GET", Path: "/" + bucket + "/k", Query: "uploadId=nonsense"},
			"deleting a bucket not empty": {Method: "DELETE", Path: "/" + bucket},
			"a failed condition":          {Method: "GET", Path: "/" + bucket + "/there", Headers: map[string]string{"if-match": `"00000000000000000000000000000000"`}},
			"a bucket that is there":      {Method: "PUT", Path: "/" + bucket},
		} {
			want, got := c.Do(t, at.Store.S3()), c.Do(t, at.S3)
			if got.Status != want.Status || got.Code != want.Code || got.Text != want.Text {
				t.Errorf("%s: %d %s %q, direct %d %s %q", name, got.Status, got.Code, got.Text, want.Status, want.Code, want.Text)
			}
		}
	})
}

// versioned is a proxy in front of a store with versioning.
type versioned struct {
	lab.S3
	store lab.S3
}

func openVersioned(t *testing.T, name string) versioned {
	t.Helper()
	store := lab.SharedMinIO(t)
	if name == lab.OnVersitygw {
		store = lab.VersitygwForSuite(t)
	}
	if lab.Direct {
		return versioned{store.S3(), store.S3()}
	}
	return versioned{lab.Proxy(t, lab.ProxyOptions{Upstream: store}).S3(), store.S3()}
}
