package s3test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/s3proxy/s3proxy/test/lab"
)

// SDK returns an aws-sdk-go-v2 client with the SDK's default settings.
func SDK(t testing.TB, at lab.S3) *s3.Client {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion("us-east-1"),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(at.AccessKey, at.SecretKey, "")))
	if err != nil {
		t.Fatal(err)
	}
	return s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.BaseEndpoint = aws.String(at.URL)
		o.UsePathStyle = true
		o.DisableLogOutputChecksumValidationSkipped = true
	})
}

// NewBucket makes a bucket for this test alone.
func NewBucket(t testing.TB, at lab.S3) string {
	t.Helper()
	last := t.Name()[strings.LastIndex(t.Name(), "/")+1:]
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, last)
	name := lab.FreeName(fmt.Sprintf("b-%.40s", clean))
	if _, err := SDK(t, at).CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatalf("making bucket %s: %v", name, err)
	}
	return name
}

// MakeBucket makes a bucket with a given name.
func MakeBucket(t *testing.T, at lab.S3, name string) {
	t.Helper()
	if _, err := SDK(t, at).CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatalf("making bucket %s: %v", name, err)
	}
}

// Code is the S3 error code in an SDK's error; "" if there is none.
func Code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// WantObject reads an object whole and by part, and compares HEAD and LIST with the result.
func WantObject(t *testing.T, client *s3.Client, bucket, key string, parts ...[]byte) {
	t.Helper()
	want := slices.Concat(parts...)
	out := MustRead(t, client, bucket, key, want)
	head, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatalf("HeadObject: %v", err)
	}
	if aws.ToInt64(head.ContentLength) != int64(len(want)) || aws.ToString(head.ETag) != aws.ToString(out.ETag) {
		t.Errorf("HEAD: %d bytes, ETag %s; GET: %d, %s", aws.ToInt64(head.ContentLength), aws.ToString(head.ETag), len(want), aws.ToString(out.ETag))
	}
	list, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &key})
	if err != nil || len(list.Contents) != 1 {
		t.Fatalf("ListObjectsV2: %d entries, %v", len(list.Contents), err)
	}
	if o := list.Contents[0]; aws.ToInt64(o.Size) != int64(len(want)) || aws.ToString(o.ETag) != aws.ToString(out.ETag) {
		t.Errorf("LIST: %d bytes, ETag %s; GET: %d, %s", aws.ToInt64(o.Size), aws.ToString(o.ETag), len(want), aws.ToString(out.ETag))
	}
	at := 0
	for i, part := range parts {
		number := int32(i + 1)
		if len(parts) > 1 && out.PartsCount == nil {
			h, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key, PartNumber: aws.Int32(1)})
			if err != nil || int(aws.ToInt32(h.PartsCount)) != len(parts) {
				t.Fatalf("HEAD partNumber=1: %v, %d parts, want %d", err, aws.ToInt32(h.PartsCount), len(parts))
			}
		}
		r := fmt.Sprintf("bytes=%d-%d", at, at+len(part)-1)
		if len(part) > 0 {
			o, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key, Range: &r})
			if err != nil {
				t.Fatalf("range of part %d: %v", number, err)
			}
			b, err := io.ReadAll(o.Body)
			o.Body.Close()
			if err != nil || !bytes.Equal(b, part) {
				t.Fatalf("range of part %d: %v, %v", number, err, SameBytes(b, part))
			}
		}
		at += len(part)
	}
}

// Tagged formats tags independently of their order.
func Tagged(tags []types.Tag) string {
	var all []string
	for _, tag := range tags {
		all = append(all, fmt.Sprintf("%q=%q", aws.ToString(tag.Key), aws.ToString(tag.Value)))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// TwoTags is the value of a tagging header.
const TwoTags = "a=b&color=dark%20red"

// HostedSDK is aws-sdk-go-v2 with its default addressing: the bucket is in the host name.
func HostedSDK(t testing.TB, at lab.S3, client *http.Client, endpoint string) *s3.Client {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion("us-east-1"), config.WithHTTPClient(client),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(at.AccessKey, at.SecretKey, "")))
	if err != nil {
		t.Fatal(err)
	}
	return s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.BaseEndpoint = aws.String(endpoint)
		o.DisableLogOutputChecksumValidationSkipped = true
	})
}

// Once returns a client that never retries.
func Once(t testing.TB, at lab.S3) *s3.Client {
	return s3.New(SDK(t, at).Options(), func(o *s3.Options) { o.Retryer = aws.NopRetryer{} })
}
