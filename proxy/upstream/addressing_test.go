package upstream

import (
	"context"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"net/url"
	"testing"
)

func TestABucketIsInTheHostWhereTheStoreIsAddressedSo(t *testing.T) {
	for _, c := range []struct {
		addressing               Addressing
		endpoint, bucket, expect string
	}{
		{"", "https://s3.eu-west-1.amazonaws.com", "photos", "https://photos.s3.eu-west-1.amazonaws.com/a%2Bb//c"},
		{AddressingAuto, "https://s3.cn-north-1.amazonaws.com.cn", "photos", "https://photos.s3.cn-north-1.amazonaws.com.cn/a%2Bb//c"},
		{AddressingAuto, "https://s3.eu-west-1.amazonaws.com", "my.photos", "https://s3.eu-west-1.amazonaws.com/my.photos/a%2Bb//c"},
		{AddressingAuto, "https://s3.eu-west-1.amazonaws.com", "Old_Name", "https://s3.eu-west-1.amazonaws.com/Old_Name/a%2Bb//c"},
		{AddressingAuto, "http://s3.eu-west-1.amazonaws.com", "photos", "http://s3.eu-west-1.amazonaws.com/photos/a%2Bb//c"},
		{AddressingAuto, "https://minio.example.com", "photos", "https://minio.example.com/photos/a%2Bb//c"},
		{AddressingAuto, "https://amazonaws.com.example.com", "photos", "https://amazonaws.com.example.com/photos/a%2Bb//c"},
		{AddressingPath, "https://s3.eu-west-1.amazonaws.com", "photos", "https://s3.eu-west-1.amazonaws.com/photos/a%2Bb//c"},
		{AddressingVirtual, "http://minio.example.com:9000", "photos", "http://photos.minio.example.com:9000/a%2Bb//c"},
		{AddressingVirtual, "http://minio.example.com:9000", "my.photos", "http://my.photos.minio.example.com:9000/a%2Bb//c"},
		{AddressingVirtual, "https://minio.example.com", "my.photos", "https://minio.example.com/my.photos/a%2Bb//c"},
		{AddressingVirtual, "https://minio.example.com", "", "https://minio.example.com/"},
	} {
		u, err := url.Parse(c.endpoint)
		if err != nil {
			t.Fatal(err)
		}
		client, err := New(Config{Endpoint: u, Addressing: c.addressing})
		if err != nil {
			t.Fatal(err)
		}
		in := &Request{Method: "GET"}
		if c.bucket != "" {
			in.Bucket, in.Key = must(s3name.ParseBucket(c.bucket)), must(s3name.ParseKey("a+b//c"))
		}
		req, err := client.build(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		if req.URL.String() != c.expect || req.Host != req.URL.Host {
			t.Errorf("%s %s %s: %s, host %s", c.addressing, c.endpoint, c.bucket, req.URL, req.Host)
		}
	}
}

func TestVirtualAddressingNeedsANameToStandBelow(t *testing.T) {
	for _, endpoint := range []string{"http://127.0.0.1:9000", "http://[::1]:9000", "http://s3.example.com/below"} {
		u, err := url.Parse(endpoint)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(Config{Endpoint: u, Addressing: AddressingVirtual}); err == nil {
			t.Errorf("%s was taken", endpoint)
		}
	}
}
