package running

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// sentToStore records how the requests to a store are signed.
type sentToStore struct {
	sync.Mutex
	odd []string // signed wrongly
	n   int
}

func (s *sentToStore) look(r *http.Request) {
	s.Lock()
	defer s.Unlock()
	s.n++
	bare := r.Header.Get("X-Amz-Content-Sha256") == "" && r.Header.Get("X-Amz-Decoded-Content-Length") == "" && !strings.Contains(r.Header.Get("Content-Encoding"), "aws-chunked")
	if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS ") || !bare || r.Header.Get("Date") == "" {
		s.odd = append(s.odd, r.Method+" "+r.RequestURI)
	}
}

// MinIO accepts version 2; versitygw does not.
func TestAStoreThatWantsVersion2GetsNothingElse(t *testing.T) {
	store := lab.SharedMinIO(t)
	sent := &sentToStore{}
	way := lab.WayTo(t, store)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { sent.look(r); way.ServeHTTP(w, r) }))
	t.Cleanup(front.Close)
	for _, etag := range []string{"opaque", "md5"} {
		t.Run(etag, func(t *testing.T) {
			p := lab.Proxy(t, lab.ProxyOptions{Upstream: store, UpstreamURL: front.URL, Args: []string{"--upstream-signature", "v2", "--etag", etag}})
			bucket := s3test.NewBucket(t, p.S3())
			for _, n := range []int{0, 1, 70_000, 3_000_000} {
				s3test.RoundTrip(t, p.S3(), bucket, n)
			}
			client := s3test.SDK(t, p.S3())
			uploadAndCopy(t, client, bucket)
			versionsAndTags(t, client, bucket)
			lockAndUnlock(t, client, bucket+"-locked")
			deleteAll(t, client, bucket)
		})
	}
	if sent.n < 50 || len(sent.odd) > 0 {
		t.Errorf("of %d requests these are not signed with version 2 or have a body in chunks: %v", sent.n, sent.odd)
	}
}

func TestAStoreThatWantsVersion2MayHaveTheBucketInTheHost(t *testing.T) {
	if lab.Direct {
		t.Skip("the test observes the proxy's own requests")
	}
	store := lab.MinIOBelow(t, lab.HostDomain)
	hosts := forwardTo(t, store.Address)
	p := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--upstream-addressing", "virtual", "--upstream-signature", "v2"}, Env: []string{"HTTP_PROXY=" + hosts.URL}})
	bucket := s3test.NewBucket(t, p.S3())
	s3test.RoundTrip(t, p.S3(), bucket, 70_000)
	uploadAndCopy(t, s3test.SDK(t, p.S3()), bucket)
	_, domain, _ := strings.Cut(store.URL, "//")
	hosts.Lock()
	defer hosts.Unlock()
	if !hosts.seen[bucket+"."+domain] {
		t.Errorf("the store was asked at %v", hosts.seen)
	}
}

func uploadAndCopy(t *testing.T, client *s3.Client, bucket string) {
	t.Helper()
	parts := [][]byte{s3test.Content(1, 5<<20), s3test.Content(2, 100)}
	key := "a folder/up+load ä"
	if err := s3test.PutParts(t.Context(), client, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key, ContentType: aws.String("x/y")}, parts); err != nil {
		t.Fatal(err)
	}
	whole := append(parts[0], parts[1]...)
	s3test.MustRead(t, client, bucket, key, whole)
	if _, err := client.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: &bucket, Key: aws.String("copy"), CopySource: aws.String(bucket + "/a%20folder/up%2Bload%20%C3%A4"),
		MetadataDirective: types.MetadataDirectiveReplace, Metadata: map[string]string{"a": "two  blanks"}}); err != nil {
		t.Fatal(err)
	}
	if out := s3test.MustRead(t, client, bucket, "copy", whole); out.Metadata["a"] != "two  blanks" {
		t.Errorf("metadata %v", out.Metadata)
	}
	begun, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &bucket, Prefix: &key}); err != nil || len(out.Uploads) != 1 {
		t.Errorf("uploads: %v, %v", out, err)
	}
	if _, err := client.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{Bucket: &bucket, Key: &key, UploadId: begun.UploadId}); err != nil {
		t.Error(err)
	}
}

func versionsAndTags(t *testing.T, client *s3.Client, bucket string) {
	t.Helper()
	if _, err := client.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: &bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}}); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"one", "two"} {
		if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("versions"), Body: strings.NewReader(body), Tagging: aws.String("a=b")}); err != nil {
			t.Fatal(err)
		}
	}
	listed, err := client.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: &bucket, Prefix: aws.String("versions")})
	if err != nil || len(listed.Versions) != 2 {
		t.Fatalf("%v, %v", listed, err)
	}
	out, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: aws.String("versions"), VersionId: listed.Versions[1].VersionId})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(out.Body); err != nil || string(got) != "one" {
		t.Errorf("%q, %v", got, err)
	}
	if tags, err := client.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: &bucket, Key: aws.String("versions")}); err != nil || s3test.Tagged(tags.TagSet) != `"a"="b"` {
		t.Errorf("%v, %v", tags, err)
	}
}

// lockAndUnlock uses the subresource legal-hold, which only MinIO includes in a version 2
// signature.
func lockAndUnlock(t *testing.T, client *s3.Client, bucket string) {
	t.Helper()
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket, ObjectLockEnabledForBucket: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("k"), Body: strings.NewReader("x")}); err != nil {
		t.Fatal(err)
	}
	for _, status := range []types.ObjectLockLegalHoldStatus{types.ObjectLockLegalHoldStatusOn, types.ObjectLockLegalHoldStatusOff} {
		if _, err := client.PutObjectLegalHold(t.Context(), &s3.PutObjectLegalHoldInput{Bucket: &bucket, Key: aws.String("k"), LegalHold: &types.ObjectLockLegalHold{Status: status}}); err != nil {
			t.Fatal(err)
		}
		if got, err := client.GetObjectLegalHold(t.Context(), &s3.GetObjectLegalHoldInput{Bucket: &bucket, Key: aws.String("k")}); err != nil || got.LegalHold.Status != status {
			t.Errorf("%v, %v", got, err)
		}
	}
}

func deleteAll(t *testing.T, client *s3.Client, bucket string) {
	t.Helper()
	listed, err := client.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: &bucket})
	if err != nil {
		t.Fatal(err)
	}
	gone := &types.Delete{}
	for _, v := range listed.Versions {
		gone.Objects = append(gone.Objects, types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
	}
	if out, err := client.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: &bucket, Delete: gone}); err != nil || len(out.Deleted) != len(gone.Objects) {
		t.Errorf("%v, %v", out, err)
	}
	if _, err := client.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: &bucket}); err != nil {
		t.Error(err)
	}
}
