package clients

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/minio/minio-go/v7"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

func TestPresignedURLsWorkInBothStyles(t *testing.T) {
	t.Parallel()
	p := lab.HostedProxy(t)
	client, endpoint := lab.Hosted(p.Address)
	bucket := s3test.NewBucket(t, p.S3())
	body := s3test.Content(11, 100_000)
	for style, sdk := range map[string]*s3.Client{"path": s3test.SDK(t, p.S3()), "virtual": s3test.HostedSDK(t, p.S3(), client, endpoint)} {
		t.Run(style, func(t *testing.T) {
			presign := s3.NewPresignClient(sdk, s3.WithPresignExpires(time.Minute))
			key := aws.String("a/presigned key " + style)
			do := func(method, address string, header http.Header, body []byte) (*http.Response, []byte) {
				t.Helper()
				req, err := http.NewRequestWithContext(t.Context(), method, address, bytes.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				for name, values := range header {
					req.Header[name] = values
				}
				resp, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				got, _ := io.ReadAll(resp.Body)
				if resp.StatusCode/100 != 2 {
					t.Fatalf("%s %s: %d %s", method, address, resp.StatusCode, got)
				}
				return resp, got
			}
			put, err := presign.PresignPutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: key, ContentType: aws.String("text/x-test"), Metadata: map[string]string{"colour": "blue"}})
			if err != nil {
				t.Fatal(err)
			}
			do("PUT", put.URL, put.SignedHeader, body)
			get, err := presign.PresignGetObject(t.Context(), &s3.GetObjectInput{
				Bucket: &bucket, Key: key, Range: aws.String("bytes=65530-65545"), ResponseContentType: aws.String("text/other"),
				ResponseContentDisposition: aws.String(`attachment; filename="a b.txt"`), ResponseCacheControl: aws.String("no-store"),
				ResponseContentEncoding: aws.String("identity"), ResponseContentLanguage: aws.String("de"),
			})
			if err != nil {
				t.Fatal(err)
			}
			resp, got := do("GET", get.URL, get.SignedHeader, nil)
			if resp.StatusCode != http.StatusPartialContent || s3test.SameBytes(got, body[65530:65546]) != nil {
				t.Errorf("%d with %d bytes", resp.StatusCode, len(got))
			}
			for name, want := range map[string]string{
				"Content-Type": "text/other", "Content-Disposition": `attachment; filename="a b.txt"`, "Cache-Control": "no-store",
				"Content-Encoding": "identity", "Content-Language": "de", "X-Amz-Meta-Colour": "blue",
			} {
				if resp.Header.Get(name) != want {
					t.Errorf("%s: %q", name, resp.Header.Get(name))
				}
			}
			head, err := presign.PresignHeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: key})
			if err != nil {
				t.Fatal(err)
			}
			if resp, _ := do("HEAD", head.URL, head.SignedHeader, nil); resp.ContentLength != int64(len(body)) || resp.Header.Get("Content-Type") != "text/x-test" {
				t.Errorf("HEAD: %d bytes, %v", resp.ContentLength, resp.Header)
			}
			del, err := presign.PresignDeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &bucket, Key: key})
			if err != nil {
				t.Fatal(err)
			}
			do("DELETE", del.URL, del.SignedHeader, nil)
			if got := (s3test.Call{Method: "HEAD", Path: "/" + bucket + "/a/presigned%20key%20" + style}).Do(t, p.S3()); got.Status != 404 {
				t.Errorf("after the DELETE: %v", got)
			}
		})
	}
}

func TestMinioGosPresignedRequestsWork(t *testing.T) {
	t.Parallel()
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket, body := s3test.NewBucket(t, at.S3), s3test.Content(12, 70_000)
		client := s3test.NewMinioClient(t, at.S3, bucket)
		put, err := client.PresignedPutObject(t.Context(), bucket, "a/key ä", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if status, _, got := s3test.Fetch(t, "PUT", put.String(), "", bytes.NewReader(body)); status != 200 {
			t.Fatalf("PUT: %d %s", status, got)
		}
		read, err := client.PresignedGetObject(t.Context(), bucket, "a/key ä", time.Minute, url.Values{"response-content-type": {"text/other"}})
		if err != nil {
			t.Fatal(err)
		}
		if status, header, got := s3test.Fetch(t, "GET", read.String(), "", nil); status != 200 || s3test.SameBytes(got, body) != nil || header.Get("Content-Type") != "text/other" {
			t.Errorf("GET: %d with %d bytes, %v", status, len(got), header)
		}

		policy := minio.NewPostPolicy()
		for _, err := range []error{
			policy.SetBucket(bucket), policy.SetKeyStartsWith("forms/"), policy.SetExpires(time.Now().Add(time.Minute)),
			policy.SetContentLengthRange(1, 100_000), policy.SetContentType("text/x-test"), policy.SetUserMetadata("colour", "blue"),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		to, fields, err := client.PresignedPostPolicy(t.Context(), policy)
		if err != nil {
			t.Fatal(err)
		}
		fields["key"] = "forms/${filename}"
		var form bytes.Buffer
		w := multipart.NewWriter(&form)
		for name, value := range fields {
			if err := w.WriteField(name, value); err != nil {
				t.Fatal(err)
			}
		}
		file, err := w.CreateFormFile("file", "one")
		if err != nil {
			t.Fatal(err)
		}
		file.Write(body)
		w.Close()
		if status, _, got := s3test.Fetch(t, "POST", to.String(), w.FormDataContentType(), &form); status != http.StatusNoContent {
			t.Fatalf("POST: %d %s", status, got)
		}
		got := s3test.Get(t, at.S3, "/"+bucket+"/forms/one")
		if s3test.SameBytes(got.Body, body) != nil || got.Header.Get("X-Amz-Meta-Colour") != "blue" {
			t.Errorf("%v %v", got, got.Header)
		}
	})
}

func TestTheAWSCLIsPresignedURLsWork(t *testing.T) {
	for _, generation := range lab.Generations {
		t.Run(generation, func(t *testing.T) {
			t.Parallel()
			lab.OnEach(t, func(t *testing.T, at lab.Target) {
				cli := lab.NeedAWS(t, generation)
				bucket, body := s3test.NewBucket(t, at.S3), s3test.Content(13, 70_000)
				if got := (s3test.Call{Method: "PUT", Path: "/" + bucket + "/a/key", Body: body}).Do(t, at.S3); got.Status != 200 {
					t.Fatal(got)
				}
				// By itself an aws-cli of version 1 signs these with version 2 (v2_test.go).
				config := filepath.Join(t.TempDir(), "config")
				if err := os.WriteFile(config, []byte("[default]\ns3 =\n  signature_version = s3v4\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				env := at.Env("AWS_CONFIG_FILE=" + config)
				address := strings.TrimSpace(lab.MustRun(t, env, cli, "--endpoint-url", at.URL, "s3", "presign", "s3://"+bucket+"/a/key", "--expires-in", "60"))
				if !strings.Contains(address, "X-Amz-Signature") {
					t.Fatalf("not signed with version 4: %s", address)
				}
				if status, _, got := s3test.Fetch(t, "GET", address, "", nil); status != 200 || s3test.SameBytes(got, body) != nil {
					t.Errorf("%d with %d bytes", status, len(got))
				}
			})
		})
	}
}
