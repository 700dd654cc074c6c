package deploy

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

func TestClientsReachThreeProxiesThroughTheExamplesOfBalancers(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"haproxy", "nginx"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := lab.NewCluster(t, lab.ClusterOptions{Store: lab.SharedVersitygw(t), Balancer: name})
			bucket := lab.FreeName("balanced")
			for proto, client := range map[string]*http.Client{"HTTP/1.1": c.Client, "HTTP/2.0": c.HTTP2} {
				works(t, c, client, proto, bucket)
			}
			streams(t, c)
		})
	}
}

// works sends what clients send: odd keys and metadata, bodies of all sizes, in parts, presigned.
func works(t *testing.T, c *lab.Cluster, client *http.Client, proto, bucket string) {
	t.Helper()
	sdk := s3.New(s3test.HostedSDK(t, c.S3, client, c.URL).Options(), func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := sdk.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil && s3test.Code(err) != "BucketAlreadyOwnedByYou" {
		t.Fatal(err)
	}
	for i, key := range []string{"k", "a//b", "a%2Fb", "a b+c", "ü/é?x=1&y", "a;b:c@d", "%41"} {
		body := s3test.Content(uint64(i), 1000+i*700_000)
		if _, err := sdk.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body), Metadata: map[string]string{"a_b": "x", "c.d": "y"}}); err != nil {
			t.Fatalf("%s, %q: %v", proto, key, err)
		}
		if out := s3test.MustRead(t, sdk, bucket, key, body); out.Metadata["a_b"] != "x" || out.Metadata["c.d"] != "y" {
			t.Errorf("%s, %q: metadata %v", proto, key, out.Metadata)
		}
		presigned, err := s3.NewPresignClient(sdk).PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Get(presigned.URL)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || resp.Proto != proto || !bytes.Equal(got, body) {
			t.Errorf("%q presigned: %s over %s, %d bytes, %v", key, resp.Status, resp.Proto, len(got), err)
		}
	}
	large := s3test.Content(9, 20<<20)
	manager := transfermanager.New(sdk)
	if _, err := manager.UploadObject(t.Context(), &transfermanager.UploadObjectInput{Bucket: &bucket, Key: aws.String("large"), Body: bytes.NewReader(large)}); err != nil {
		t.Fatal(err)
	}
	s3test.MustRead(t, sdk, bucket, "large", large)
	resp, err := s3test.Call{Method: http.MethodPut, Path: "/" + bucket + "/streamed"}.Streamed(t, c.S3, client, io.LimitReader(s3test.Generator(3), 3<<20), 3<<20)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("a streamed PUT over %s: %s", proto, resp.Status)
	}
}

// streams proves that no upload is held: an answer comes before the end of its body.
func streams(t *testing.T, c *lab.Cluster) {
	t.Helper()
	body, writer := io.Pipe()
	go func() { _, _ = io.CopyN(writer, s3test.Generator(1), 1<<20) }() // and no more
	put := s3test.Call{Method: http.MethodPut, Path: "/" + lab.FreeName("missing") + "/k"}
	resp, err := put.Streamed(t, c.S3, c.Client, body, 64<<20)
	writer.Close()
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 404 {
		t.Errorf("an upload into a bucket that is not there: %s", resp.Status)
	}
}
