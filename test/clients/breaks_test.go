package clients

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// What breaks clients of proxies that encrypt most likely; docs/TESTING.md has the list.

func TestEachLikelyBreakHasATestThatIsThere(t *testing.T) {
	page, err := os.ReadFile("../../docs/TESTING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, found := strings.Cut(string(page), "## What breaks clients")
	list, _, _ = strings.Cut(list, "\n## ")
	numbers, names := 0, 0
	for line := range strings.Lines(list) {
		if regexp.MustCompile(`^\| \d+ \|`).MatchString(line) {
			numbers++
		}
		for _, m := range regexp.MustCompile("`(test/[a-z]+|proxy)`: `(Test\\w+)`").FindAllStringSubmatch(line, -1) {
			names++
			files, err := filepath.Glob("../../" + m[1] + "/*_test.go")
			if err != nil {
				t.Fatal(err)
			}
			is := false
			for _, file := range files {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				is = is || bytes.Contains(text, []byte("\nfunc "+m[2]+"(t *testing.T) {"))
			}
			if !is {
				t.Errorf("%s has no %s", m[1], m[2])
			}
		}
	}
	if !found || numbers != 10 || names < 20 {
		t.Errorf("%d breaks, %d tests", numbers, names)
	}
}

// rclone takes 32 digits for an MD5, and with the providers AWS, Minio and Ceph the ETag of an
// object in parts for that of its parts' MD5s.
func TestRcloneComparesTheETagsOfItsMultipartUploads(t *testing.T) {
	const size = 17_000_001
	for _, c := range []struct{ provider, mode string }{{"Minio", lab.ModeMD5}, {"Ceph", lab.ModeMD5}, {"Other", lab.ModeMD5}, {"Other", lab.ModeOpaque}} {
		t.Run(c.provider+" "+c.mode, func(t *testing.T) {
			t.Parallel()
			lab.OnThese(t, []string{lab.OnVersitygw, lab.OnMinIO}, func(t *testing.T, at lab.Target) {
				at = lab.OpenMode(t, at.Name, c.mode)
				env := at.Env("RCLONE_CONFIG="+os.DevNull, "RCLONE_CONFIG_X_TYPE=s3", "RCLONE_CONFIG_X_PROVIDER="+c.provider, "RCLONE_CONFIG_X_ENV_AUTH=true", "RCLONE_CONFIG_X_ENDPOINT="+at.URL,
					"RCLONE_CONFIG_X_REGION=us-east-1", "RCLONE_CONFIG_X_FORCE_PATH_STYLE=true", "RCLONE_CONFIG_X_UPLOAD_CUTOFF=10M", "RCLONE_CONFIG_X_CHUNK_SIZE=5M", "RCLONE_RETRIES=1", "RCLONE_LOW_LEVEL_RETRIES=1")
				rclone := &commands{t: t, env: env, program: lab.Need(t, "rclone")}
				up, bucket := files(t, 1000, size), "x:"+s3test.NewBucket(t, at.S3)
				rclone.run("copy", up, bucket)
				rclone.run("check", "--download", up, bucket)
				rclone.run("check", up, bucket) // by the MD5 that rclone puts into the metadata
				if rclone.err != nil {
					t.Error(rclone.err)
				}
			})
		})
	}
}

// s3cmd compares the ETag of each part and of the whole with MD5s, unless they have a dash.
func TestS3cmdComparesTheETagsOf30MBInParts(t *testing.T) {
	lab.OnEachMode(t, func(t *testing.T, at lab.Target, _ string) {
		config, host := filepath.Join(t.TempDir(), "s3cfg"), strings.TrimPrefix(at.URL, "http://")
		if err := os.WriteFile(config, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		const size = 30_000_000
		up, down, to := files(t, size), t.TempDir(), "s3://"+s3test.NewBucket(t, at.S3)+"/k"
		for _, args := range [][]string{{"put", filepath.Join(up, fmt.Sprint(size)), to}, {"get", to, filepath.Join(down, fmt.Sprint(size))}} {
			out, err := lab.RunBoth(t, at.Env(), lab.Need(t, "s3cmd"), append([]string{"--config", config, "--access_key", at.AccessKey, "--secret_key", at.SecretKey, "--host", host, "--host-bucket", host, "--no-ssl", "--region", "us-east-1", "--no-progress", "--multipart-chunk-size-mb", "5"}, args...)...)
			if err != nil || strings.Contains(out, "WARNING") || strings.Contains(out, "ERROR") {
				t.Errorf("%s: %v\n%s", args[0], err, out)
			}
		}
		sameFiles(t, down, size)
	})
}

// boto3's own checksums, sizes and numbers of parts, and its conditions, are of the plaintext.
func TestBoto3SeesTheFactsOfThePlaintext(t *testing.T) {
	lab.OnEachMode(t, func(t *testing.T, at lab.Target, _ string) {
		lab.MustRun(t, at.Env(), lab.NeedBoto3(t, lab.Newest), "boto3_facts.py", at.URL, s3test.NewBucket(t, at.S3))
	})
}

// The AWS SDK for JavaScript signs a presigned PUT with the checksum of no body in the query.
func TestAPresignedPutOfTheJavaScriptSDKIsNotHeldToTheChecksumOfNoBody(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		if at.Name == lab.OnMinIO && lab.Direct {
			t.Skip("MinIO ignores it")
		}
		bucket, body := s3test.NewBucket(t, at.S3), s3test.Content(5, 100_000)
		q := url.Values{"X-Amz-Expires": {"60"}, "x-amz-checksum-crc32": {"AAAAAA=="}, "x-amz-sdk-checksum-algorithm": {"CRC32"}, "x-id": {"PutObject"}}
		r, err := http.NewRequestWithContext(t.Context(), "PUT", at.URL+"/"+bucket+"/k?"+q.Encode(), nil)
		if err != nil {
			t.Fatal(err)
		}
		signed, _, err := v4.NewSigner().PresignHTTP(t.Context(), aws.Credentials{AccessKeyID: at.AccessKey, SecretAccessKey: at.SecretKey}, r, s3test.UnsignedPayload, "s3", "us-east-1", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if r, err = http.NewRequestWithContext(t.Context(), "PUT", signed, bytes.NewReader(body)); err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		said, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Fatalf("%s %s", resp.Status, said)
		}
		s3test.MustRead(t, s3test.SDK(t, at.S3), bucket, "k", body)
	})
}

// aws-cli and JuiceFS send up to 5 GiB in a part. Encrypted, that is more than a store takes.
func TestAPartOfExactly5GiBIsRefusedBeforeItIsSentAndSaysWhatFits(t *testing.T) {
	if lab.Direct {
		t.Skip("stores take it")
	}
	const gib5 = 5 << 30
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		client, bucket := s3test.SDK(t, at.S3), s3test.NewBucket(t, at.S3)
		m := s3test.Begin(t, client, bucket, "k")
		claim := func(query string, length int64) s3test.Answer {
			return s3test.Call{Method: "PUT", Path: "/" + bucket + "/k", Query: query, PayloadHash: s3test.UnsignedPayload, Body: []byte("the beginning"), Length: length, SendNow: 10}.Do(t, at.S3)
		}
		part := "partNumber=1&uploadId=" + url.QueryEscape(m.ID)
		a := claim(part, gib5)
		most := regexp.MustCompile(`parts of at most (\d+) bytes`).FindStringSubmatch(a.Text)
		if a.Status != 400 || a.Code != "EntityTooLarge" || most == nil {
			t.Fatalf("a part of 5 GiB: %v", a)
		}
		var fits int64
		if fmt.Sscan(most[1], &fits); fits < gib5-6<<20 {
			t.Errorf("a part may have %d bytes", fits)
		}
		if a := claim(part, fits); a.Code == "EntityTooLarge" { // it is cut, and so refused in another way
			t.Errorf("a part of %d bytes: %v", fits, a)
		}
		if a := claim("", gib5); a.Code == "EntityTooLarge" { // an object goes up in parts of our own
			t.Errorf("a PUT of 5 GiB: %v", a)
		}
		if a := claim("", gib5+1); a.Status != 400 || a.Code != "EntityTooLarge" {
			t.Errorf("a PUT of 5 GiB and a byte: %v", a)
		}
		if _, err := client.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{Bucket: &bucket, Key: aws.String("k"), UploadId: &m.ID}); err != nil {
			t.Error(err)
		}
	})
}
