package test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
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

// Sizes about the segment's, of many segments, over the 1 MiB that the proxy
// holds whole, and large.
var (
	sizes     = []int{0, 1, 65535, 65536, 65537, 1_000_003, 6_000_000}
	largeSize = 100_000_000
)

// goClient is what the SDKs have in common, so that one test fits both.
type goClient interface {
	put(ctx context.Context, key string, body []byte, meta map[string]string) error
	// get reads a range as in an HTTP Range header; "" is all.
	get(ctx context.Context, key, byteRange string) ([]byte, error)
	head(ctx context.Context, key string) (size int64, meta map[string]string, etag string, err error)
	list(ctx context.Context, v2 bool, prefix, delimiter string) (sizes map[string]int64, prefixes []string, err error)
	remove(ctx context.Context, key string) error
	removeAll(ctx context.Context, keys []string) error
	status(err error) int // of the HTTP answer that the error stands for
}

type sdkClient struct {
	*s3.Client
	bucket string
}

func (c sdkClient) put(ctx context.Context, key string, body []byte, meta map[string]string) error {
	_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &c.bucket, Key: &key, Body: bytes.NewReader(body), Metadata: meta, ContentType: aws.String("text/x-test")})
	return err
}

func (c sdkClient) get(ctx context.Context, key, byteRange string) ([]byte, error) {
	in := &s3.GetObjectInput{Bucket: &c.bucket, Key: &key}
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

func (c sdkClient) head(ctx context.Context, key string) (int64, map[string]string, string, error) {
	out, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &c.bucket, Key: &key})
	if err != nil {
		return 0, nil, "", err
	}
	// versitygw gives folders a type of its own.
	if *out.ContentType != "text/x-test" && !strings.HasSuffix(key, "/") {
		return 0, nil, "", fmt.Errorf("content type %q", *out.ContentType)
	}
	return *out.ContentLength, out.Metadata, *out.ETag, nil
}

func (c sdkClient) list(ctx context.Context, v2 bool, prefix, delimiter string) (map[string]int64, []string, error) {
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
		in := &s3.ListObjectsV2Input{Bucket: &c.bucket, MaxKeys: aws.Int32(2), Prefix: &prefix, Delimiter: &delimiter}
		for pages := s3.NewListObjectsV2Paginator(c.Client, in); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, nil, err
			}
			take(page.Contents, page.CommonPrefixes)
		}
		return found, prefixes, nil
	}
	in := &s3.ListObjectsInput{Bucket: &c.bucket, MaxKeys: aws.Int32(2), Prefix: &prefix, Delimiter: &delimiter}
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

func (c sdkClient) remove(ctx context.Context, key string) error {
	_, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &c.bucket, Key: &key})
	return err
}

func (c sdkClient) removeAll(ctx context.Context, keys []string) error {
	in := &s3.DeleteObjectsInput{Bucket: &c.bucket, Delete: &types.Delete{}}
	for _, k := range keys {
		in.Delete.Objects = append(in.Delete.Objects, types.ObjectIdentifier{Key: &k})
	}
	out, err := c.DeleteObjects(ctx, in)
	if err == nil && (len(out.Errors) > 0 || len(out.Deleted) != len(keys)) {
		err = fmt.Errorf("%d deleted of %d, %d errors", len(out.Deleted), len(keys), len(out.Errors))
	}
	return err
}

func (sdkClient) status(err error) int {
	var e *smithyhttp.ResponseError
	if errors.As(err, &e) {
		return e.HTTPStatusCode()
	}
	return 0
}

type minioClient struct {
	*minio.Client
	bucket string
}

func newMinioClient(t *testing.T, at lab.S3, bucket string) minioClient {
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

func (c minioClient) put(ctx context.Context, key string, body []byte, meta map[string]string) error {
	_, err := c.PutObject(ctx, c.bucket, key, bytes.NewReader(body), int64(len(body)),
		minio.PutObjectOptions{UserMetadata: meta, ContentType: "text/x-test", DisableMultipart: true})
	return err
}

func (c minioClient) get(ctx context.Context, key, byteRange string) ([]byte, error) {
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

func (c minioClient) head(ctx context.Context, key string) (int64, map[string]string, string, error) {
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

func (c minioClient) list(ctx context.Context, v2 bool, prefix, delimiter string) (map[string]int64, []string, error) {
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

func (c minioClient) remove(ctx context.Context, key string) error {
	return c.RemoveObject(ctx, c.bucket, key, minio.RemoveObjectOptions{})
}

func (c minioClient) removeAll(ctx context.Context, keys []string) error {
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

func (minioClient) status(err error) int { return minio.ToErrorResponse(err).StatusCode }

func TestAWSSDKForGoWorks(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		bucket := newBucket(t, at.S3)
		testGoClient(t, sdkClient{sdk(t, at.S3), bucket})
	})
}

func TestMinioGoWorks(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		testGoClient(t, newMinioClient(t, at.S3, newBucket(t, at.S3)))
	})
}

func testGoClient(t *testing.T, c goClient) {
	ctx := t.Context()
	meta := map[string]string{"colour": "blue", "long": strings.Repeat("x", 500)}
	want := map[string]int64{}
	large := largeSize
	if testing.Short() {
		large /= 5
	}
	for _, size := range append(slices.Clone(sizes), large) {
		key := fmt.Sprintf("dir/%d", size)
		body := content(uint64(size), size)
		if err := c.put(ctx, key, body, meta); err != nil {
			t.Fatalf("put of %d bytes: %v", size, err)
		}
		want[key] = int64(size)
		got, err := c.get(ctx, key, "")
		if err == nil {
			err = sameBytes(got, body)
		}
		if err != nil {
			t.Errorf("get of %d bytes: %v", size, err)
		}
		headSize, headMeta, etag, err := c.head(ctx, key)
		if err != nil || headSize != int64(size) || !maps.Equal(headMeta, meta) || etag == "" {
			t.Errorf("head of %d bytes: size %d, metadata %v, ETag %q, %v", size, headSize, headMeta, etag, err)
		}
		testRanges(t, c, key, body)
	}
	if err := c.put(ctx, "top", []byte("x"), nil); err != nil {
		t.Fatal(err)
	}
	for _, v2 := range []bool{false, true} {
		got, _, err := c.list(ctx, v2, "dir/", "")
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("list (v2 %v) gives %v, want %v (%v)", v2, got, want, err)
		}
		got, prefixes, err := c.list(ctx, v2, "", "/")
		if err != nil || !maps.Equal(got, map[string]int64{"top": 1}) || !slices.Equal(prefixes, []string{"dir/"}) {
			t.Errorf("list with a delimiter (v2 %v) gives %v and %v (%v)", v2, got, prefixes, err)
		}
	}
	if err := c.remove(ctx, "top"); err != nil {
		t.Errorf("delete: %v", err)
	}
	if _, _, _, err := c.head(ctx, "top"); c.status(err) != http.StatusNotFound {
		t.Errorf("head of what was deleted: %v", err)
	}
	if err := c.removeAll(ctx, slices.Collect(maps.Keys(want))); err != nil {
		t.Errorf("delete of several: %v", err)
	}
	if got, _, err := c.list(ctx, true, "", ""); err != nil || len(got) != 0 {
		t.Errorf("after all is deleted the list gives %v (%v)", got, err)
	}
}

func testRanges(t *testing.T, c goClient, key string, body []byte) {
	t.Helper()
	size := len(body)
	good := map[string][]byte{}
	if size > 0 {
		good["bytes=0-0"] = body[:1]
		good["bytes=-1"] = body[size-1:]
		good["bytes=0-"] = body
		good[fmt.Sprintf("bytes=0-%d", size+1000)] = body
		good[fmt.Sprintf("bytes=-%d", size+1000)] = body
		good[fmt.Sprintf("bytes=%d-", size-1)] = body[size-1:]
		good[fmt.Sprintf("bytes=%d-%d", size/3, size/2)] = body[size/3 : size/2+1]
	}
	if size > 65537 {
		good["bytes=65535-65536"] = body[65535:65537]
		good["bytes=65536-65536"] = body[65536:65537]
	}
	for r, want := range good {
		got, err := c.get(t.Context(), key, r)
		if err == nil {
			err = sameBytes(got, want)
		}
		if err != nil {
			t.Errorf("range %s of %d bytes: %v", r, size, err)
		}
	}
	bad := []string{fmt.Sprintf("bytes=%d-", size), fmt.Sprintf("bytes=%d-%d", size+5, size+9)}
	if size > 0 {
		bad = append(bad, "bytes=-0")
	}
	for _, r := range bad {
		if _, err := c.get(t.Context(), key, r); c.status(err) != http.StatusRequestedRangeNotSatisfiable {
			t.Errorf("range %s of %d bytes: %v, want 416", r, size, err)
		}
	}
}
