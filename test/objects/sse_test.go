package objects

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// shownSSE is what an answer says about server-side encryption.
type shownSSE struct {
	algorithm types.ServerSideEncryption
	key       string
	bucketKey bool
}

func shown(algorithm types.ServerSideEncryption, key *string, bucketKey *bool) shownSSE {
	return shownSSE{algorithm, aws.ToString(key), aws.ToBool(bucketKey)}
}

// ofMode is what is shown if a client asked for s: with ETags that are not MD5s, SSE-KMS.
func (s shownSSE) ofMode(mode string) shownSSE {
	if mode == lab.ModeOpaque && s.algorithm == types.ServerSideEncryptionAes256 {
		return shownSSE{algorithm: types.ServerSideEncryptionAwsKms}
	}
	return s
}

func TestStoresThatKnowNoEncryptionTakeWhatClientsAskFor(t *testing.T) {
	context := base64.StdEncoding.EncodeToString([]byte(`{"department":"10"}`))
	lab.OnEachMode(t, func(t *testing.T, at lab.Target, mode string) {
		client, ctx := s3test.SDK(t, at.S3), t.Context()
		bucket := s3test.NewBucket(t, at.S3)
		for i, want := range []shownSSE{
			{algorithm: types.ServerSideEncryptionAes256},
			{algorithm: types.ServerSideEncryptionAwsKms},
			{algorithm: types.ServerSideEncryptionAwsKms, key: s3test.SomeKey, bucketKey: true},
			{algorithm: types.ServerSideEncryptionAwsKmsDsse, key: "alias/backup"},
		} {
			var key, encryptionContext *string
			var bucketKey *bool
			if want.key != "" {
				key, encryptionContext = &want.key, &context
			}
			if want.bucketKey {
				bucketKey = aws.Bool(true)
			}
			name, copied, parts := fmt.Sprint("put", i), fmt.Sprint("copy", i), fmt.Sprint("parts", i)
			check := func(what string, got shownSSE) {
				t.Helper()
				if got != want.ofMode(mode) {
					t.Errorf("%s of %+v answers %+v", what, want, got)
				}
			}
			body := s3test.Content(uint64(i), 70_000)
			put, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &name, Body: bytes.NewReader(body), ServerSideEncryption: want.algorithm, SSEKMSKeyId: key, SSEKMSEncryptionContext: encryptionContext, BucketKeyEnabled: bucketKey})
			if err != nil {
				t.Fatalf("PutObject of %+v: %v", want, err)
			}
			check("PutObject", shown(put.ServerSideEncryption, put.SSEKMSKeyId, put.BucketKeyEnabled))
			s3test.WantObject(t, client, bucket, name, body)
			copy, err := client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &bucket, Key: &copied, CopySource: aws.String(bucket + "/" + name), ServerSideEncryption: want.algorithm, SSEKMSKeyId: key, SSEKMSEncryptionContext: encryptionContext, BucketKeyEnabled: bucketKey})
			if err != nil {
				t.Fatalf("CopyObject to %+v: %v", want, err)
			}
			check("CopyObject", shown(copy.ServerSideEncryption, copy.SSEKMSKeyId, copy.BucketKeyEnabled))
			s3test.WantObject(t, client, bucket, copied, body)
			// In place: a different encryption counts as a change.
			if _, err := client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &bucket, Key: &name, CopySource: aws.String(bucket + "/" + name), ServerSideEncryption: want.algorithm, SSEKMSKeyId: key}); err != nil {
				t.Errorf("CopyObject in place to %+v: %v", want, err)
			}
			begun, err := client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &parts, ServerSideEncryption: want.algorithm, SSEKMSKeyId: key, SSEKMSEncryptionContext: encryptionContext, BucketKeyEnabled: bucketKey})
			if err != nil {
				t.Fatalf("CreateMultipartUpload of %+v: %v", want, err)
			}
			check("CreateMultipartUpload", shown(begun.ServerSideEncryption, begun.SSEKMSKeyId, begun.BucketKeyEnabled))
			m := &s3test.Upload{T: t, Client: client, Bucket: bucket, Key: parts, ID: *begun.UploadId}
			if _, err := m.Complete(client, m.Send(client, 1, body)); err != nil {
				t.Fatal(err)
			}
			s3test.WantObject(t, client, bucket, parts, body)
		}
		// A browser's form, and a presigned URL.
		form, head, tail := s3test.SignedForm(t, at.S3, bucket, "form", [2]string{"x-amz-server-side-encryption", "AES256"})
		resp, err := http.Post(at.URL+"/"+bucket, form, bytes.NewReader(append(append(head, "by a form"...), tail...)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNoContent || resp.Header.Get("x-amz-server-side-encryption") == "" {
			t.Errorf("a form: %s, %v", resp.Status, resp.Header)
		}
		presigned := s3test.Call{Method: "PUT", Path: "/" + bucket + "/presigned", Query: "x-amz-server-side-encryption=AES256", Body: []byte("x")}.Presign(at.S3, time.Minute)
		if got := presigned.Do(t, at.S3); got.Status != 200 {
			t.Errorf("a presigned PUT: %v", got)
		}
	})
}

func TestWhatHEADSaysOfEncryptionMayBeSentBack(t *testing.T) {
	lab.OnEachMode(t, func(t *testing.T, at lab.Target, mode string) {
		client, ctx := s3test.SDK(t, at.S3), t.Context()
		bucket, key := s3test.NewBucket(t, at.S3), "k"
		s3test.MustPut(t, at.S3, "/"+bucket+"/"+key, []byte("x"))
		head, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
		if err != nil || head.ServerSideEncryption == "" {
			t.Fatalf("HEAD: %v, %v", head, err)
		}
		if _, err := client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &bucket, Key: &key, CopySource: aws.String(bucket + "/" + key), MetadataDirective: types.MetadataDirectiveReplace,
			ServerSideEncryption: head.ServerSideEncryption, SSEKMSKeyId: head.SSEKMSKeyId, ContentType: aws.String("text/x"), Metadata: map[string]string{"a": "b"}}); err != nil {
			t.Error(err)
		}
		if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader([]byte("y")), ServerSideEncryption: head.ServerSideEncryption}); err != nil {
			t.Error(err)
		}
		s3test.WantObject(t, client, bucket, key, []byte("y"))
	})
}

func TestABucketsDefaultEncryptionIsKeptAndTold(t *testing.T) {
	lab.OnEachMode(t, func(t *testing.T, at lab.Target, mode string) {
		client, ctx := s3test.SDK(t, at.S3), t.Context()
		bucket, key := s3test.NewBucket(t, at.S3), "k"
		rule := func() types.ServerSideEncryptionRule {
			t.Helper()
			out, err := client.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: &bucket})
			if err != nil || len(out.ServerSideEncryptionConfiguration.Rules) != 1 {
				t.Fatalf("GetBucketEncryption: %v, %v", out, err)
			}
			return out.ServerSideEncryptionConfiguration.Rules[0]
		}
		told := func(want shownSSE) {
			t.Helper()
			put, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader([]byte("x"))})
			if err != nil {
				t.Fatal(err)
			}
			head, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
			if err != nil {
				t.Fatal(err)
			}
			got, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
			if err != nil {
				t.Fatal(err)
			}
			got.Body.Close()
			for what, s := range map[string]shownSSE{
				"PUT":  shown(put.ServerSideEncryption, put.SSEKMSKeyId, put.BucketKeyEnabled),
				"HEAD": shown(head.ServerSideEncryption, head.SSEKMSKeyId, head.BucketKeyEnabled),
				"GET":  shown(got.ServerSideEncryption, got.SSEKMSKeyId, got.BucketKeyEnabled),
			} {
				if s != want.ofMode(mode) {
					t.Errorf("%s says %+v, want %+v", what, s, want.ofMode(mode))
				}
			}
		}
		if r := rule(); r.ApplyServerSideEncryptionByDefault.SSEAlgorithm != types.ServerSideEncryptionAes256 || aws.ToBool(r.BucketKeyEnabled) {
			t.Errorf("a bucket without a setting has %+v", r)
		}
		told(shownSSE{algorithm: types.ServerSideEncryptionAes256})
		if _, err := client.PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{Bucket: &bucket, ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{Rules: []types.ServerSideEncryptionRule{{
			ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: types.ServerSideEncryptionAwsKms, KMSMasterKeyID: aws.String(s3test.SomeKey)}, BucketKeyEnabled: aws.Bool(true),
		}}}}); err != nil {
			t.Fatal(err)
		}
		if r := rule(); r.ApplyServerSideEncryptionByDefault.SSEAlgorithm != types.ServerSideEncryptionAwsKms || aws.ToString(r.ApplyServerSideEncryptionByDefault.KMSMasterKeyID) != s3test.SomeKey || !aws.ToBool(r.BucketKeyEnabled) {
			t.Errorf("the bucket has %+v", r)
		}
		told(shownSSE{types.ServerSideEncryptionAwsKms, s3test.SomeKey, true})
		if at.Store != nil && !lab.Direct { // another replica
			other := lab.Proxy(t, lab.ProxyOptions{Upstream: at.Store, Args: []string{"--etag", mode}})
			head, err := s3test.SDK(t, other.S3()).GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: &bucket})
			if err != nil || head.ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault.SSEAlgorithm != types.ServerSideEncryptionAwsKms {
				t.Errorf("another replica says %v, %v", head, err)
			}
		}
		if list, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket}); err != nil || len(list.Contents) != 1 {
			t.Errorf("the bucket lists %d objects (%v)", len(list.Contents), err)
		}
		for range 2 {
			if _, err := client.DeleteBucketEncryption(ctx, &s3.DeleteBucketEncryptionInput{Bucket: &bucket}); err != nil {
				t.Fatal(err)
			}
		}
		if r := rule(); r.ApplyServerSideEncryptionByDefault.SSEAlgorithm != types.ServerSideEncryptionAes256 {
			t.Errorf("after the setting was deleted the bucket has %+v", r)
		}
		told(shownSSE{algorithm: types.ServerSideEncryptionAes256})
		none := aws.String("no-such-bucket-here")
		if _, err := client.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: none}); s3test.Code(err) != "NoSuchBucket" {
			t.Errorf("GetBucketEncryption of a missing bucket: %v", err)
		}
		if _, err := client.DeleteBucketEncryption(ctx, &s3.DeleteBucketEncryptionInput{Bucket: none}); s3test.Code(err) != "NoSuchBucket" {
			t.Errorf("DeleteBucketEncryption of a missing bucket: %v", err)
		}
	})
}

func TestABucketWithADefaultEncryptionIsDeletedAndBeginsAnew(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		client, ctx := s3test.SDK(t, at.S3), t.Context()
		bucket := s3test.NewBucket(t, at.S3)
		if _, err := client.PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{Bucket: &bucket, ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{Rules: []types.ServerSideEncryptionRule{{
			ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: types.ServerSideEncryptionAwsKms},
		}}}}); err != nil {
			t.Fatal(err)
		}
		if _, err := client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &bucket}); err != nil {
			t.Fatal(err)
		}
		if _, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
			t.Fatal(err)
		}
		out, err := client.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: &bucket})
		if err != nil || out.ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault.SSEAlgorithm != types.ServerSideEncryptionAes256 {
			t.Errorf("%v, %v", out, err)
		}
	})
}
