package clients

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// withVersion2 runs a test before a proxy that takes version 2 as it does by default, and before
// one that takes all of it.
func withVersion2(t *testing.T, test func(t *testing.T, at lab.S3, allowed string)) {
	if lab.Direct {
		t.Skip("versitygw knows version 4 alone")
	}
	t.Parallel()
	for allowed, args := range map[string][]string{"presigned": nil, "all": {"--auth-v2", "all"}} {
		at := lab.Proxy(t, lab.ProxyOptions{Upstream: lab.SharedVersitygw(t), Args: args}).S3()
		t.Run(allowed, func(t *testing.T) { test(t, at, allowed) })
	}
}

func TestWhatBoto3SignsWithVersion2Works(t *testing.T) {
	withVersion2(t, func(t *testing.T, at lab.S3, allowed string) {
		for _, generation := range lab.Generations {
			t.Run(generation, func(t *testing.T) {
				lab.MustRun(t, at.Env(), lab.NeedBoto3(t, generation), "boto3_v2.py", at.URL, s3test.NewBucket(t, at), allowed)
			})
		}
	})
}

func TestURLsThatTheAWSCLISignsByItselfWork(t *testing.T) {
	withVersion2(t, func(t *testing.T, at lab.S3, _ string) {
		bucket, body := s3test.NewBucket(t, at), s3test.Content(13, 70_000)
		s3test.MustPut(t, at, "/"+bucket+"/a/key%20%C3%A4", body)
		for _, generation := range lab.Generations {
			t.Run(generation, func(t *testing.T) {
				// aws-cli 1 signs with version 2 unless told otherwise, aws-cli 2 with 4.
				cli := lab.NeedAWS(t, generation)
				first := strings.HasPrefix(lab.MustRun(t, at.Env(), cli, "--version"), "aws-cli/1.")
				address := strings.TrimSpace(lab.MustRun(t, at.Env(), cli, "--endpoint-url", at.URL, "s3", "presign", "s3://"+bucket+"/a/key ä", "--expires-in", "60"))
				if strings.Contains(address, "AWSAccessKeyId") != first {
					t.Fatalf("signed with another version: %s", address)
				}
				if status, _, got := s3test.Fetch(t, "GET", address, "", nil); status != 200 || s3test.SameBytes(got, body) != nil {
					t.Errorf("%d with %d bytes", status, len(got))
				}
			})
		}
	})
}

func TestS3cmdsVersion2Works(t *testing.T) {
	withVersion2(t, func(t *testing.T, at lab.S3, allowed string) {
		s3cmd, bucket, body := lab.Need(t, "s3cmd"), s3test.NewBucket(t, at), s3test.Content(14, 70_000)
		host := strings.TrimPrefix(at.URL, "http://")
		run := func(args ...string) string {
			return lab.MustRun(t, at.Env(), s3cmd, append([]string{"--config", lab.PrivateFile(t, ""), "--access_key", at.AccessKey, "--secret_key", at.SecretKey,
				"--host", host, "--host-bucket", host, "--no-ssl", "--no-check-md5"}, args...)...)
		}
		s3test.MustPut(t, at, "/"+bucket+"/a/key%20%C3%A4", body)
		address := strings.TrimSpace(run("signurl", "s3://"+bucket+"/a/key ä", "+60"))
		if !strings.Contains(address, "AWSAccessKeyId") {
			t.Fatalf("not signed with version 2: %s", address)
		}
		if status, _, got := s3test.Fetch(t, "GET", address, "", nil); status != 200 || s3test.SameBytes(got, body) != nil {
			t.Errorf("%d with %d bytes", status, len(got))
		}
		if allowed == "presigned" {
			return
		}
		file := filepath.Join(t.TempDir(), "a file")
		if err := os.WriteFile(file, body, 0o600); err != nil {
			t.Fatal(err)
		}
		run("--signature-v2", "put", file, "s3://"+bucket+"/put ä", "--add-header", "x-amz-meta-a:b")
		if got := run("--signature-v2", "ls", "s3://"+bucket+"/put"); !strings.Contains(got, "/put ä") {
			t.Errorf("it lists %q", got)
		}
		run("--signature-v2", "get", "--force", "s3://"+bucket+"/put ä", file+"2")
		if got, err := os.ReadFile(file + "2"); err != nil || !bytes.Equal(got, body) {
			t.Errorf("it reads %d bytes, %v", len(got), err)
		}
		run("--signature-v2", "del", "s3://"+bucket+"/put ä")
		if got := s3test.Get(t, at, "/"+bucket+"/put%20%C3%A4"); got.Status != http.StatusNotFound {
			t.Errorf("after del: %v", got)
		}
	})
}

// The host names the bucket, which version 2 signs as a part of the path.
func TestURLsOfVersion2WorkInBothStyles(t *testing.T) {
	t.Parallel()
	p := lab.HostedProxy(t)
	client, endpoint := lab.Hosted(p.Address)
	bucket, body := s3test.NewBucket(t, p.S3()), s3test.Content(15, 1000)
	s3test.MustPut(t, p.S3(), "/"+bucket+"/a%20key", body)
	query := (s3test.Call{Method: "GET", Path: "/" + bucket + "/a%20key"}).PresignV2(p.S3(), time.Now().Add(time.Minute), "").Query
	for address, want := range map[string]int{
		endpoint + "/" + bucket + "/a%20key":                                         200,
		strings.Replace(endpoint, "://", "://"+bucket+".", 1) + "/a%20key":           200,
		strings.Replace(endpoint, "://", "://other.", 1) + "/" + bucket + "/a%20key": 403,
		strings.Replace(endpoint, "://", "://other.", 1) + "/a%20key":                403,
	} {
		resp, err := client.Get(address + "?" + query)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %s, want %d", address, resp.Status, want)
		}
	}
}
