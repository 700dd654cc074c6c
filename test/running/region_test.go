package running

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

const boto3InRegion = `
import sys, urllib.request, boto3
endpoint, bucket, region = sys.argv[1:]
s3 = boto3.client("s3", endpoint_url=endpoint, region_name=region)
s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
s3.put_object(Bucket=bucket, Key="k", Body=b"content")
assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"content"
v4 = boto3.client("s3", endpoint_url=endpoint, region_name=region, config=boto3.session.Config(signature_version="s3v4"))
with urllib.request.urlopen(v4.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})) as r:
    assert r.read() == b"content"
s3.delete_object(Bucket=bucket, Key="k")
s3.delete_bucket(Bucket=bucket)
`

// Of these regions, only us-east-1 is in use here.
func TestClientsMaySignForAnyRegion(t *testing.T) {
	t.Parallel()
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket, body := s3test.NewBucket(t, at.S3), s3test.Content(3, 100_000)
		for _, region := range []string{"us-east-1", "eu-west-1", "nowhere", "auto"} {
			path := "/" + bucket + "/" + region
			put := s3test.Call{Method: "PUT", Path: path, Region: region, Stream: &s3test.Stream{Shape: s3test.SignedStreamTrailer, Body: body, Checksum: s3test.CRC32Of(body)}}
			if got := put.Do(t, at.S3); got.Status != 200 {
				t.Errorf("%s: PUT in signed chunks: %v", region, got)
			}
			if got := (s3test.Call{Method: "GET", Path: path, Region: region}).Do(t, at.S3); s3test.SameBytes(got.Body, body) != nil {
				t.Errorf("%s: GET: %v", region, got)
			}
			if got := (s3test.Call{Method: "GET", Path: path, Region: region}).Presign(at.S3, time.Minute).Do(t, at.S3); s3test.SameBytes(got.Body, body) != nil {
				t.Errorf("%s: presigned GET: %v", region, got)
			}
			kind, head, tail := s3test.RegionalForm(t, at.S3, region, bucket, "form")
			if status, _, got := s3test.Fetch(t, "POST", at.URL+"/"+bucket, kind, bytes.NewReader(slices.Concat(head, body, tail))); status != http.StatusNoContent {
				t.Errorf("%s: a form: %d %s", region, status, got)
			}
			forged := s3test.Call{Method: "GET", Path: path, Region: region, Secret: "wrong"}
			if got := forged.Do(t, at.S3); got.Code != "SignatureDoesNotMatch" {
				t.Errorf("%s with another secret: %v", region, got)
			}
			if got := forged.Presign(at.S3, time.Minute).Do(t, at.S3); got.Code != "SignatureDoesNotMatch" {
				t.Errorf("%s with another secret, presigned: %v", region, got)
			}
		}
	})
}

func TestClientsOfAnotherRegionMakeAndUseBuckets(t *testing.T) {
	t.Parallel()
	const region = "eu-west-1"
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		t.Run("SDK", func(t *testing.T) {
			client := s3.New(s3test.SDK(t, at.S3).Options(), func(o *s3.Options) { o.Region = region })
			bucket := aws.String(lab.FreeName("sdk"))
			if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket, CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: region}}); err != nil {
				t.Fatal(err)
			}
			// Clients are told where the store is, and that answer works.
			location, err := client.GetBucketLocation(t.Context(), &s3.GetBucketLocationInput{Bucket: bucket})
			if err != nil || location.LocationConstraint != "" {
				t.Errorf("location: %+v, %v", location, err)
			}
			head, err := client.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: bucket})
			if err != nil || aws.ToString(head.BucketRegion) != "us-east-1" {
				t.Errorf("head: %+v, %v", head, err)
			}
		})
		t.Run("aws-cli", func(t *testing.T) {
			cli, bucket := lab.NeedAWS(t, lab.Newest), lab.FreeName("cli")
			run := func(args ...string) string {
				return lab.MustRun(t, at.Env("AWS_REGION="+region, "AWS_DEFAULT_REGION="+region), cli, append([]string{"--endpoint-url", at.URL, "--region", region}, args...)...)
			}
			run("s3", "mb", "s3://"+bucket)
			run("s3", "cp", lab.PrivateFile(t, "content"), "s3://"+bucket+"/k")
			if got := run("s3", "cp", "s3://"+bucket+"/k", "-"); got != "content" {
				t.Errorf("it reads %q", got)
			}
			run("s3", "rb", "--force", "s3://"+bucket)
		})
		for _, generation := range lab.Generations {
			t.Run("boto3, "+generation, func(t *testing.T) {
				lab.MustRun(t, at.Env(), lab.NeedBoto3(t, generation), "-c", boto3InRegion, at.URL, lab.FreeName("boto"), region)
			})
		}
	})
}

func TestARestrictedProxyRefusesOtherRegions(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	at := lab.Proxy(t, lab.ProxyOptions{Args: []string{"--region", "eu-central-1"}}).S3()
	bucket := lab.FreeName("region")
	if got := (s3test.Call{Method: "PUT", Path: "/" + bucket, Region: "eu-central-1"}).Do(t, at); got.Status != 200 {
		t.Fatal(got)
	}
	for _, region := range []string{"us-east-1", "eu-central-2", "EU-CENTRAL-1"} {
		c := s3test.Call{Method: "GET", Path: "/" + bucket, Region: region}
		for name, got := range map[string]s3test.Answer{"AuthorizationHeaderMalformed": c.Do(t, at), "AuthorizationQueryParametersError": c.Presign(at, time.Minute).Do(t, at)} {
			var refusal struct{ Region string }
			if err := xml.Unmarshal(got.Body, &refusal); err != nil || got.Status != 400 || got.Code != name || refusal.Region != "eu-central-1" ||
				!strings.Contains(got.Text, fmt.Sprintf("the region %q is wrong; expecting \"eu-central-1\"", region)) {
				t.Errorf("%s: %v", region, got)
			}
		}
		kind, head, tail := s3test.RegionalForm(t, at, region, bucket, "form")
		if status, _, got := s3test.Fetch(t, "POST", at.URL+"/"+bucket, kind, bytes.NewReader(slices.Concat(head, []byte("x"), tail))); status != 400 || !strings.Contains(string(got), "expecting") {
			t.Errorf("a form for %s: %d %s", region, status, got)
		}
	}
	kind, head, tail := s3test.RegionalForm(t, at, "eu-central-1", bucket, "form")
	if status, _, got := s3test.Fetch(t, "POST", at.URL+"/"+bucket, kind, bytes.NewReader(slices.Concat(head, []byte("x"), tail))); status != http.StatusNoContent {
		t.Errorf("a form for the region: %d %s", status, got)
	}
}
