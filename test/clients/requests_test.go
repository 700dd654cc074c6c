package clients

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net"
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

// The requests of clients that cannot be run here, as their sources have them.
func TestClientsThatCannotBeRunHereGetWhatTheyAskFor(t *testing.T) {
	for _, c := range []struct {
		name, source string
		test         func(t *testing.T, at lab.Target, bucket string)
	}{
		{"OpenSearch", "opensearch-project/OpenSearch@002b757f plugins/repository-s3/.../S3BlobContainer.java executeSingleUpload, executeMultipartUpload, listObjectsRequest, doDeleteBlobs", asOpenSearch},
		{"S3A", "apache/hadoop@03a8c8b9 hadoop-tools/hadoop-aws/.../s3a/impl/RequestFactoryImpl.java newDirectoryMarkerRequest, newListObjectsV2Request, newListMultipartUploadsRequest, newBulkDeleteRequest", asS3A},
		{"DuckDB", "duckdb/duckdb-httpfs@2a6481d src/httpfs.cpp:303-329 and 396-409, src/s3fs.cpp:1370 and 1422", asDuckDB},
		{"CRT", "awslabs/aws-c-s3@226c3e69 source/s3_auto_ranged_get.c:262 and 517, source/s3_request_messages.c:1327", asCRT},
		{"Velero", "velero-io/velero-plugin-for-aws@c20d301 velero-plugin-for-aws/object_store.go:358-378, 393, 445, 512", asVelero},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			lab.OnEachMode(t, func(t *testing.T, at lab.Target, _ string) {
				c.test(t, at, s3test.NewBucket(t, at.S3))
				if t.Failed() {
					t.Log(c.source)
				}
			})
		})
	}
}

// want sends a request, whose answer must have the status.
func want(t *testing.T, at lab.Target, status int, c s3test.Call) s3test.Answer {
	t.Helper()
	got := c.Do(t, at.S3)
	if got.Status != status {
		t.Fatalf("%s %s?%s: %v %s", c.Method, c.Path, c.Query, got, got.Body)
	}
	return got
}

// listed is a page of ListObjectsV2.
type listed struct {
	Contents []struct {
		Key, ETag string
		Size      int
	}
	CommonPrefixes []struct{ Prefix string }
}

func list(t *testing.T, at lab.Target, bucket, query string) (page listed, header http.Header) {
	t.Helper()
	got := want(t, at, 200, s3test.Call{Method: "GET", Path: "/" + bucket, Query: "list-type=2&" + query})
	if err := xml.Unmarshal(got.Body, &page); err != nil {
		t.Fatal(err)
	}
	return page, got.Header
}

func deleteQuietly(t *testing.T, at lab.Target, bucket string, keys ...string) {
	t.Helper()
	var body strings.Builder
	body.WriteString(`<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>`)
	for _, key := range keys {
		fmt.Fprintf(&body, "<Object><Key>%s</Key></Object>", key)
	}
	body.WriteString("</Delete>")
	got := want(t, at, 200, s3test.Call{Method: "POST", Path: "/" + bucket, Query: "delete=", Body: []byte(body.String()), Headers: map[string]string{"content-md5": s3test.MD5Of([]byte(body.String()))}})
	if strings.Contains(string(got.Body), "<Error>") { // versitygw tells what was deleted, all the same
		t.Errorf("a quiet delete answers %s", got.Body)
	}
}

// asOpenSearch writes with canned ACL, storage class and encryption, and deletes a folder's own key,
// which never was.
func asOpenSearch(t *testing.T, at lab.Target, bucket string) {
	headers := map[string]string{"x-amz-acl": "private", "x-amz-storage-class": "STANDARD", "x-amz-server-side-encryption": "AES256"}
	body := s3test.Content(1, 100_000)
	for _, key := range []string{"base/indices/a/0/__1", "base/indices/a/0/__2", "base/indices/b/0/__1", "base/index-1"} {
		want(t, at, 200, s3test.Call{Method: "PUT", Path: "/" + bucket + "/" + key, Body: body, Headers: headers})
	}
	begun := want(t, at, 200, s3test.Call{Method: "POST", Path: "/" + bucket + "/base/large", Query: "uploads=", Headers: headers})
	want(t, at, 204, s3test.Call{Method: "DELETE", Path: "/" + bucket + "/base/large", Query: "uploadId=" + s3test.UploadID(begun)})
	page, _ := list(t, at, bucket, "prefix=base%2Findices%2F&delimiter=%2F")
	if len(page.Contents) != 0 || len(page.CommonPrefixes) != 2 || page.CommonPrefixes[1].Prefix != "base/indices/b/" {
		t.Errorf("it lists %+v", page)
	}
	if page, _ = list(t, at, bucket, "prefix=base%2Findices%2Fa%2F0%2F&delimiter=%2F&max-keys=1"); len(page.Contents) != 1 || page.Contents[0].Size != len(body) {
		t.Errorf("it lists %+v", page)
	}
	deleteQuietly(t, at, bucket, "base/indices/a/0/__1", "base/indices/a/0/__2", "base/indices/b/0/__1", "base/index-1", "base/")
	if page, _ = list(t, at, bucket, "prefix=base%2F"); len(page.Contents) != 0 {
		t.Errorf("after the delete there is %+v", page)
	}
}

// asS3A makes folders as empty objects, and looks for them with a list of two.
func asS3A(t *testing.T, at lab.Target, bucket string) {
	want(t, at, 200, s3test.Call{Method: "PUT", Path: "/" + bucket + "/table/", Headers: map[string]string{"content-type": "application/x-directory"}})
	want(t, at, 200, s3test.Call{Method: "PUT", Path: "/" + bucket + "/table/part-0", Body: s3test.Content(2, 1000)})
	if head := want(t, at, 200, s3test.Call{Method: "HEAD", Path: "/" + bucket + "/table/"}); head.Header.Get("Content-Type") != "application/x-directory" || head.Header.Get("Content-Length") != "0" {
		t.Errorf("a folder has %v", head.Header)
	}
	if page, _ := list(t, at, bucket, "prefix=table%2F&delimiter=%2F&max-keys=2"); len(page.Contents) != 2 || page.Contents[0].Key != "table/" || page.Contents[1].Size != 1000 {
		t.Errorf("it lists %+v", page)
	}
	first := want(t, at, 206, s3test.Call{Method: "GET", Path: "/" + bucket + "/table/part-0", Headers: map[string]string{"range": "bytes=0-99"}}).Header.Get("ETag")
	want(t, at, 206, s3test.Call{Method: "GET", Path: "/" + bucket + "/table/part-0", Headers: map[string]string{"range": "bytes=100-999", "if-match": first}})
	want(t, at, 200, s3test.Call{Method: "PUT", Path: "/" + bucket + "/renamed/part-0", Headers: map[string]string{"x-amz-copy-source": "/" + bucket + "/table/part-0", "x-amz-copy-source-if-match": first}})
	want(t, at, 412, s3test.Call{Method: "PUT", Path: "/" + bucket + "/renamed/part-0", Body: []byte("x"), Headers: map[string]string{"if-none-match": "*"}})

	begun := want(t, at, 200, s3test.Call{Method: "POST", Path: "/" + bucket + "/table/magic", Query: "uploads="})
	uploads := want(t, at, 200, s3test.Call{Method: "GET", Path: "/" + bucket, Query: "uploads=&prefix=table%2Fmagic"}) // MinIO knows no shorter prefix
	if !strings.Contains(string(uploads.Body), "<Key>table/magic</Key>") {
		t.Errorf("the uploads are %s", uploads.Body)
	}
	want(t, at, 204, s3test.Call{Method: "DELETE", Path: "/" + bucket + "/table/magic", Query: "uploadId=" + s3test.UploadID(begun)})
	deleteQuietly(t, at, bucket, "table/part-0", "table/", "renamed/part-0", "never")
}

// asDuckDB takes size and ETag from a list and sends no HEAD; each range must have that ETag.
func asDuckDB(t *testing.T, at lab.Target, bucket string) {
	client := s3test.SDK(t, at.S3)
	parts := [][]byte{s3test.Content(3, 5*s3test.MiB), s3test.Content(4, 1000)}
	key := "data/parts.parquet"
	if err := s3test.PutParts(t.Context(), client, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key}, parts); err != nil {
		t.Fatal(err)
	}
	want(t, at, 200, s3test.Call{Method: "PUT", Path: "/" + bucket + "/data/one.parquet", Body: parts[1]})
	page, header := list(t, at, bucket, "prefix=data%2F&encoding-type=url")
	if header.Get("X-Amz-Bucket-Region") == "" || len(page.Contents) != 2 {
		t.Fatalf("%v %+v", header, page)
	}
	for _, o := range page.Contents {
		for _, span := range []string{"bytes=0-3", fmt.Sprintf("bytes=%d-%d", o.Size-8, o.Size-1)} {
			got := want(t, at, 206, s3test.Call{Method: "GET", Path: "/" + bucket + "/" + strings.ReplaceAll(o.Key, "%2F", "/"), Headers: map[string]string{"range": span}})
			if got.Header.Get("ETag") != o.ETag || !strings.HasSuffix(got.Header.Get("Content-Range"), fmt.Sprintf("/%d", o.Size)) {
				t.Errorf("%s of %s: %v, the list has %s and %d bytes", span, o.Key, got.Header, o.ETag, o.Size)
			}
		}
	}
}

// asCRT finds the size out from part 1, and reads the other ranges if the ETag is the same.
func asCRT(t *testing.T, at lab.Target, bucket string) {
	parts := [][]byte{s3test.Content(5, 5*s3test.MiB), s3test.Content(6, 70_000)}
	key, whole := "parts", 5*s3test.MiB+70_000
	if err := s3test.PutParts(t.Context(), s3test.SDK(t, at.S3), &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key}, parts); err != nil {
		t.Fatal(err)
	}
	first := want(t, at, 206, s3test.Call{Method: "GET", Path: "/" + bucket + "/parts", Query: "partNumber=1", Headers: map[string]string{"x-amz-checksum-mode": "enabled"}})
	if err := s3test.SameBytes(first.Body, parts[0]); err != nil || first.Header.Get("Content-Range") != fmt.Sprintf("bytes 0-%d/%d", 5*s3test.MiB-1, whole) || !strings.HasSuffix(first.Header.Get("ETag"), `"`) {
		t.Fatalf("%v %v", err, first.Header)
	}
	rest := s3test.Call{Method: "GET", Path: "/" + bucket + "/parts", Headers: map[string]string{"range": fmt.Sprintf("bytes=%d-%d", 5*s3test.MiB, whole-1), "if-match": first.Header.Get("ETag")}}
	if got := want(t, at, 206, rest); s3test.SameBytes(got.Body, parts[1]) != nil {
		t.Errorf("the second range: %v", got)
	}
	rest.Headers["if-match"] = `"00000000000000000000000000000000"`
	want(t, at, 412, rest)
}

// asVelero asks for the whole by a URL that is signed for a name which is not the one that it
// writes to.
func asVelero(t *testing.T, at lab.Target, bucket string) {
	client, ctx, body := s3test.SDK(t, at.S3), t.Context(), s3test.Content(7, 100_000)
	key, missing := "backups/one/velero-backup.json", "backups/two/velero-backup.json"
	if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(string(body)), Tagging: aws.String("owner=velero"), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &missing}); s3test.Code(err) != "NotFound" {
		t.Errorf("HEAD of what is missing: %v", err)
	}
	page, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: aws.String("backups/"), Delimiter: aws.String("/")})
	if err != nil || len(page.CommonPrefixes) != 1 || *page.CommonPrefixes[0].Prefix != "backups/one/" {
		t.Errorf("%+v, %v", page, err)
	}
	public := s3test.SDK(t, lab.S3{URL: "http://public.example.com", AccessKey: at.AccessKey, SecretKey: at.SecretKey})
	signed, err := s3.NewPresignClient(public).PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key}, s3.WithPresignExpires(10*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, strings.TrimPrefix(at.URL, "http://"))
	}}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport, Timeout: lab.AnswerWithin}).Get(signed.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || s3test.SameBytes(got, body) != nil {
		t.Errorf("by the public name: %s, %d bytes, %v", resp.Status, len(got), err)
	}
}
