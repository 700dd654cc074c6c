package running

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

func TestStateObjectsLiveWhereTheyAreConfigured(t *testing.T) {
	for _, name := range []string{lab.OnVersitygw, lab.OnMinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := lab.Open(t, name).Store
			uri, _ := lab.NewKeyset(t)
			state, bucket, kept := lab.FreeName("state"), lab.FreeName("client"), lab.FreeName("kept")
			proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--kms", uri, "--state-bucket", state, "--state-prefix", "team"}})
			for _, b := range []string{state, bucket, kept} {
				s3test.MakeBucket(t, proxy.S3(), b)
			}
			s3test.RoundTrip(t, proxy.S3(), bucket, 1000)
			s3test.RoundTrip(t, proxy.S3(), kept, 1000)
			if got := s3test.KeysOf(t, store.S3(), bucket, ""); len(got) != 1 {
				t.Errorf("the client's bucket has %q", got)
			}
			of := func(b string) []string { return s3test.KeysOf(t, store.S3(), state, "team/.s3proxy/"+b+"/keys/") }
			if len(of(bucket)) != 1 || len(of(kept)) != 1 || len(s3test.KeysOf(t, store.S3(), state, "")) != 2 {
				t.Fatalf("the state bucket has %q", s3test.KeysOf(t, store.S3(), state, ""))
			}
			record := of(bucket)[0]
			// Hidden and refused in the state bucket as in every other bucket.
			if got := s3test.KeysOf(t, proxy.S3(), state, ""); len(got) != 0 {
				t.Errorf("a client sees %q", got)
			}
			for _, c := range []s3test.Call{
				{Method: "GET", Path: "/" + state + "/" + record}, {Method: "DELETE", Path: "/" + state + "/" + record},
				{Method: "GET", Path: "/" + state + "/team//.s3proxy/" + strings.TrimPrefix(record, "team/.s3proxy/")},
				{Method: "PUT", Path: "/" + bucket + "/team/.s3proxy/x", Body: []byte("x")},
			} {
				if a := c.Do(t, proxy.S3()); a.Status != 403 {
					t.Errorf("%s %s: %v", c.Method, c.Path, a)
				}
			}
			// The store decides whether to refuse a client's DELETE of the state bucket.
			if a := (s3test.Call{Method: "DELETE", Path: "/" + state}).Do(t, proxy.S3()); a.Status != 409 || len(of(bucket)) != 1 {
				t.Errorf("the state bucket deleted: %v; left %q", a, of(bucket))
			}
			// If the store refuses to delete a bucket, nothing is lost.
			if a := (s3test.Call{Method: "DELETE", Path: "/" + bucket}).Do(t, proxy.S3()); a.Status != 409 || len(of(bucket)) != 1 {
				t.Errorf("a bucket with an object deleted: %v; left %q", a, of(bucket))
			}
			deleteBucket(t, proxy.S3(), bucket)
			if len(of(bucket)) != 0 || len(of(kept)) != 1 {
				t.Errorf("after DeleteBucket the state bucket has %q", s3test.KeysOf(t, store.S3(), state, ""))
			}
			s3test.MakeBucket(t, proxy.S3(), bucket)
			s3test.RoundTrip(t, proxy.S3(), bucket, 1000)
			if len(of(bucket)) != 1 {
				t.Errorf("the recreated bucket has the records %q", of(bucket))
			}
		})
	}
}

func TestRecordsInTheStateBucketServeWhenTheKeyInTheMetadataIsGone(t *testing.T) {
	t.Parallel()
	store := lab.SharedVersitygw(t)
	oldURI, oldPath := lab.NewKeyset(t)
	newURI, newPath := lab.NewKeyset(t)
	state, bucket := lab.FreeName("state"), lab.FreeName("client")
	at := []string{"--state-bucket", state}
	writer := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: append(at, "--kms", oldURI)})
	s3test.MakeBucket(t, writer.S3(), state)
	s3test.MakeBucket(t, writer.S3(), bucket)
	s3test.RoundTrip(t, writer.S3(), bucket, 1000)
	rewrapRecordAt(t, store, state, ".s3proxy/"+bucket+"/keys/", bucket, oldPath, newPath)
	reader := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: append(at, "--kms", newURI)})
	s3test.MustGet(t, reader.S3(), bucket, "k", s3test.Content(1000, 1000))
	elsewhere := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--kms", newURI}})
	if a := s3test.Get(t, elsewhere.S3(), "/"+bucket+"/k"); a.Status != 500 {
		t.Errorf("without the state bucket: %v", a)
	}
}

// The store lets the proxy touch only one prefix of the bucket.
func TestAPolicyThatAllowsOnePrefixIsEnough(t *testing.T) {
	t.Parallel()
	store := lab.SharedMinIO(t)
	bucket := s3test.NewBucket(t, store.S3())
	policy := `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":["arn:aws:s3:::` + bucket + `/team/*"]}]}`
	assumed, err := credentials.NewSTSAssumeRole(store.URL, credentials.STSAssumeRoleOptions{
		AccessKey: store.AccessKey, SecretKey: store.SecretKey, Policy: policy, DurationSeconds: 3600,
	})
	if err != nil {
		t.Fatal(err)
	}
	key, err := assumed.GetWithContext(nil)
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"AWS_ACCESS_KEY_ID=" + key.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + key.SecretAccessKey, "AWS_SESSION_TOKEN=" + key.SessionToken}
	put := func(args ...string) (*s3.PutObjectOutput, error) {
		proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Env: env, Args: args})
		return s3test.SDK(t, proxy.S3()).PutObject(context.WithoutCancel(t.Context()), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("team/k"), Body: strings.NewReader("body")})
	}
	if _, err := put(); err == nil {
		t.Error("without the prefix the policy should have refused the window record")
	}
	if _, err := put("--state-prefix", "team/"); err != nil {
		t.Error(err)
	}
}
