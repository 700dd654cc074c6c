package s3test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/s3proxy/s3proxy/test/lab"
)

// GoClient is the common part of the Go SDKs, so that one test fits both.
type GoClient interface {
	Put(ctx context.Context, key string, body []byte, meta map[string]string) error
	// Get reads a range as in an HTTP Range header; "" reads the whole object.
	Get(ctx context.Context, key, byteRange string) ([]byte, error)
	Head(ctx context.Context, key string) (size int64, meta map[string]string, etag string, err error)
	List(ctx context.Context, v2 bool, prefix, delimiter string) (sizes map[string]int64, prefixes []string, err error)
	Remove(ctx context.Context, key string) error
	RemoveAll(ctx context.Context, keys []string) error
	Status(err error) int // HTTP status of the answer behind an error
}

// SDKClient implements GoClient with aws-sdk-go-v2.
type SDKClient struct {
	*s3.Client
	Bucket string
}

func (c SDKClient) Put(ctx context.Context, key string, body []byte, meta map[string]string) error {
	_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &c.Bucket, Key: &key, Body: bytes.NewReader(body), Metadata: meta, ContentType: aws.String("text/x-test")})
	return err
}

func (c SDKClient) Get(ctx context.Context, key, byteRange string) ([]byte, error) {
	in := &s3.GetObjectInput{Bucket: &c.Bucket, Key: &key}
	if byteRange != "" {
		in.Range = &byteRange
	}
	out, err := c.GetObject(ctx, in)
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	b, err := io.ReadAll(out.Body)
	if err == nil && *out.ContentLength != int64(len(b)) {
		err = fmt.Errorf("Content-Length %d with %d bytes", *out.ContentLength, len(b))
	}
	return b, err
}

func (c SDKClient) Head(ctx context.Context, key string) (int64, map[string]string, string, error) {
	out, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &c.Bucket, Key: &key})
	if err != nil {
		return 0, nil, "", err
	}
	// versitygw returns folders its own content type.
	if *out.ContentType != "text/x-test" && !strings.HasSuffix(key, "/") {
		return 0, nil, "", fmt.Errorf("content type %q", *out.ContentType)
	}
	return *out.ContentLength, out.Metadata, *out.ETag, nil
}

func (c SDKClient) List(ctx context.Context, v2 bool, prefix, delimiter string) (map[string]int64, []string, error) {
	found, prefixes := map[string]int64{}, []string(nil)
	take := func(contents []types.Object, common []types.CommonPrefix) {
		for _, o := range contents {
			found[*o.Key] = *o.Size
		}
		for _, p := range common {
			prefixes = append(prefixes, *p.Prefix)
		}
	}
	if v2 {
		in := &s3.ListObjectsV2Input{Bucket: &c.Bucket, MaxKeys: aws.Int32(2), Prefix: &prefix, Delimiter: &delimiter}
		for pages := s3.NewListObjectsV2Paginator(c.Client, in); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, nil, err
			}
			take(page.Contents, page.CommonPrefixes)
		}
		return found, prefixes, nil
	}
	in := &s3.ListObjectsInput{Bucket: &c.Bucket, MaxKeys: aws.Int32(2), Prefix: &prefix, Delimiter: &delimiter}
	for {
		page, err := c.ListObjects(ctx, in)
		if err != nil {
			return nil, nil, err
		}
		take(page.Contents, page.CommonPrefixes)
		if !aws.ToBool(page.IsTruncated) {
			return found, prefixes, nil
		}
		if in.Marker = page.NextMarker; in.Marker == nil {
			in.Marker = page.Contents[len(page.Contents)-1].Key
		}
	}
}

func (c SDKClient) Remove(ctx context.Context, key string) error {
	_, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &c.Bucket, Key: &key})
	return err
}

func (c SDKClient) RemoveAll(ctx context.Context, keys []string) error {
	in := &s3.DeleteObjectsInput{Bucket: &c.Bucket, Delete: &types.Delete{}}
	for _, k := range keys {
		in.Delete.Objects = append(in.Delete.Objects, types.ObjectIdentifier{Key: &k})
	}
	out, err := c.DeleteObjects(ctx, in)
	if err == nil && (len(out.Errors) > 0 || len(out.Deleted) != len(keys)) {
		err = fmt.Errorf("%d deleted of %d, %d errors", len(out.Deleted), len(keys), len(out.Errors))
	}
	return err
}

func (SDKClient) Status(err error) int {
	var e *smithyhttp.ResponseError
	if errors.As(err, &e) {
		return e.HTTPStatusCode()
	}
	return 0
}

// GetVersion reads a specific version.
func (c SDKClient) GetVersion(ctx context.Context, key, version string) ([]byte, error) {
	out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &c.Bucket, Key: &key, VersionId: &version})
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(out.Body)
	return b.Bytes(), err
}

type minioClient struct {
	*minio.Client
	bucket string
}

func (c minioClient) Put(ctx context.Context, key string, body []byte, meta map[string]string) error {
	_, err := c.PutObject(ctx, c.bucket, key, bytes.NewReader(body), int64(len(body)),
		minio.PutObjectOptions{UserMetadata: meta, ContentType: "text/x-test", DisableMultipart: true})
	return err
}

func (c minioClient) Get(ctx context.Context, key, byteRange string) ([]byte, error) {
	var o minio.GetObjectOptions
	if byteRange != "" {
		o.Set("Range", byteRange)
	}
	body, info, _, err := (&minio.Core{Client: c.Client}).GetObject(ctx, c.bucket, key, o)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	if err == nil && info.Size != int64(len(b)) {
		err = fmt.Errorf("size %d with %d bytes", info.Size, len(b))
	}
	return b, err
}

func (c minioClient) Head(ctx context.Context, key string) (int64, map[string]string, string, error) {
	info, err := c.StatObject(ctx, c.bucket, key, minio.StatObjectOptions{})
	if err != nil {
		return 0, nil, "", err
	}
	meta := map[string]string{}
	for k, v := range info.UserMetadata {
		meta[strings.ToLower(k)] = v
	}
	return info.Size, meta, info.ETag, nil
}

func (c minioClient) List(ctx context.Context, v2 bool, prefix, delimiter string) (map[string]int64, []string, error) {
	found, prefixes := map[string]int64{}, []string(nil)
	for o := range c.ListObjects(ctx, c.bucket, minio.ListObjectsOptions{UseV1: !v2, Prefix: prefix, Recursive: delimiter == "", MaxKeys: 2}) {
		if o.Err != nil {
			return nil, nil, o.Err
		}
		if strings.HasSuffix(o.Key, "/") && o.LastModified.IsZero() {
			prefixes = append(prefixes, o.Key)
		} else {
			found[o.Key] = o.Size
		}
	}
	return found, prefixes, nil
}

func (c minioClient) Remove(ctx context.Context, key string) error {
	return c.RemoveObject(ctx, c.bucket, key, minio.RemoveObjectOptions{})
}

func (c minioClient) RemoveAll(ctx context.Context, keys []string) error {
	objects := make(chan minio.ObjectInfo, len(keys))
	for _, k := range keys {
		objects <- minio.ObjectInfo{Key: k}
	}
	close(objects)
	for e := range c.RemoveObjects(ctx, c.bucket, objects, minio.RemoveObjectsOptions{}) {
		return e.Err
	}
	return nil
}

func (minioClient) Status(err error) int { return minio.ToErrorResponse(err).StatusCode }

// NewMinioClient implements GoClient with minio-go.
func NewMinioClient(t *testing.T, at lab.S3, bucket string) minioClient {
	t.Helper()
	u, err := url.Parse(at.URL)
	if err != nil {
		t.Fatal(err)
	}
	c, err := minio.New(u.Host, &minio.Options{Creds: credentials.NewStaticV4(at.AccessKey, at.SecretKey, "")})
	if err != nil {
		t.Fatal(err)
	}
	return minioClient{c, bucket}
}
