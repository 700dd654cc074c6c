package test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
)

func TestConditionsHoldWithTheETagThatTheClientWasGiven(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		bucket := newBucket(t, at.S3)
		path := "/" + bucket + "/k"
		send := func(method string, body []byte, headers ...string) answer {
			h := map[string]string{}
			for i := 0; i < len(headers); i += 2 {
				h[headers[i]] = headers[i+1]
			}
			return call{method: method, path: path, body: body, headers: h}.do(t, at.S3)
		}
		first := send("PUT", []byte("first"))
		etag := first.header.Get("ETag")
		if !strings.HasSuffix(etag, `-0"`) || first.header.Get("x-amz-server-side-encryption") != "aws:kms" {
			t.Fatalf("ETag %s, encryption %q", etag, first.header.Get("x-amz-server-side-encryption"))
		}
		future, past := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)
		for _, c := range []struct {
			header, value string
			status        int
		}{
			{"if-match", etag, 200}, {"if-match", `"00000000000000000000000000000000-0"`, 412}, {"if-match", "*", 200},
			{"if-none-match", etag, 304}, {"if-none-match", `"00000000000000000000000000000000-0"`, 200},
			{"if-modified-since", past, 200}, {"if-unmodified-since", past, 412}, {"if-unmodified-since", future, 200},
		} {
			for _, method := range []string{"GET", "HEAD"} {
				a := send(method, nil, c.header, c.value)
				if a.status != c.status {
					t.Errorf("%s with %s %s: %v, want %d", method, c.header, c.value, a, c.status)
				}
				// versitygw's own 304 has no ETag.
				if (a.status == 200 || a.status == 304 && at.name == onMinIO) && a.header.Get("ETag") != etag {
					t.Errorf("%s with %s: ETag %q, want %s", method, c.header, a.header.Get("ETag"), etag)
				}
			}
			if a := send("GET", nil, c.header, c.value, "range", "bytes=1-2"); a.status != c.status && !(c.status == 200 && a.status == 206) {
				t.Errorf("a range with %s %s: %v", c.header, c.value, a)
			}
		}
		if a := send("PUT", []byte("lost"), "if-match", `"00000000000000000000000000000000-0"`); a.status != 412 {
			t.Errorf("PUT with another If-Match: %v", a)
		}
		if a := send("PUT", []byte("second"), "if-match", etag); a.status != 200 {
			t.Errorf("PUT with If-Match: %v", a)
		}
		list := call{method: "GET", path: "/" + bucket, query: "list-type=2"}.do(t, at.S3)
		now := send("HEAD", nil).header.Get("ETag")
		if now == etag || !bytes.Contains(list.body, []byte(strings.Trim(now, `"`))) {
			t.Errorf("HEAD's ETag %s is not in the listing: %s", now, list.body)
		}
	})
}

func TestASuffixOfAnEmptyObjectIsAllOfItAndOtherRangesAreNone(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		bucket := newBucket(t, at.S3)
		for _, key := range []string{"empty", "folder/"} {
			path := "/" + bucket + "/" + key
			if a := (call{method: "PUT", path: path}).do(t, at.S3); a.status != 200 {
				t.Fatal(a)
			}
			for byteRange, status := range map[string]int{"bytes=-5": 200, "bytes=-0": 416, "bytes=0-": 416, "bytes=0-0": 416, "bytes= -1": 200} {
				for _, method := range []string{"GET", "HEAD"} {
					a := call{method: method, path: path, headers: map[string]string{"range": byteRange}}.do(t, at.S3)
					if a.status != status || status == 200 && len(a.body) > 0 {
						t.Errorf("%s of %s with %s: %v, want %d", method, key, byteRange, a, status)
					}
				}
			}
		}
	})
}

func TestABucketOfOurOwnObjectsAloneCanBeDeletedAndARefusalPutsThemBack(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		client, bucket := sdk(t, at.S3), newBucket(t, at.S3)
		remove := func() error {
			_, err := client.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: &bucket})
			return err
		}
		roundTrip(t, at.S3, bucket, 1000)
		if err := remove(); err == nil || !strings.Contains(err.Error(), "BucketNotEmpty") {
			t.Errorf("a bucket with an object: %v", err)
		}
		if at.name == onMinIO {
			// A version that is not current: listings show nothing, and the store refuses.
			raw := sdk(t, at.store.S3())
			if _, err := raw.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: &bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}}); err != nil {
				t.Fatal(err)
			}
			if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &bucket, Key: aws.String("k")}); err != nil {
				t.Fatal(err)
			}
			if err := remove(); err == nil || !strings.Contains(err.Error(), "BucketNotEmpty") {
				t.Errorf("a bucket with an old version: %v", err)
			}
			if n := records(t, at.store.S3(), bucket); n != 1 {
				t.Errorf("%d records are left, want the one", n)
			}
			return
		}
		if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &bucket, Key: aws.String("k")}); err != nil {
			t.Fatal(err)
		}
		if err := remove(); err != nil {
			t.Fatal(err)
		}
		// Made anew under the running process: a new window, with its record.
		if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
			t.Fatal(err)
		}
		roundTrip(t, at.S3, bucket, 1000)
		if at.store != nil {
			if n := records(t, at.store.S3(), bucket); n != 1 {
				t.Errorf("%d records in the new bucket, want 1", n)
			}
		}
	})
}

// records counts the window records in a bucket of a store.
func records(t *testing.T, store lab.S3, bucket string) int {
	t.Helper()
	list, err := sdk(t, store).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: aws.String(".s3proxy/keys/")})
	if err != nil {
		t.Fatal(err)
	}
	return len(list.Contents)
}

func TestPagesAreFullThoughOurOwnObjectsAreLeftOut(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		client, bucket := sdk(t, at.S3), newBucket(t, at.S3)
		// "-" sorts before ".s3proxy/", letters behind it.
		var keys []string
		for i := range 3 {
			keys = append(keys, fmt.Sprintf("-before%d", i))
		}
		for i := range 4 {
			keys = append(keys, fmt.Sprintf("behind%d", i))
		}
		for _, key := range keys {
			if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(key)}); err != nil {
				t.Fatal(err)
			}
		}
		for _, delimiter := range []string{"", "/"} {
			for size := int32(1); size <= 8; size++ {
				var got []string
				in := &s3.ListObjectsV2Input{Bucket: &bucket, MaxKeys: &size, Delimiter: &delimiter}
				if delimiter == "" {
					in.Delimiter = nil
				}
				for p := s3.NewListObjectsV2Paginator(client, in); p.HasMorePages(); {
					page, err := p.NextPage(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if p.HasMorePages() && len(page.Contents)+len(page.CommonPrefixes) != int(size) || int(aws.ToInt32(page.KeyCount)) != len(page.Contents) {
						t.Errorf("a page of %d has %d keys, count %d", size, len(page.Contents), aws.ToInt32(page.KeyCount))
					}
					for _, o := range page.Contents {
						got = append(got, *o.Key)
					}
				}
				if strings.Join(got, " ") != strings.Join(keys, " ") {
					t.Errorf("pages of %d, delimiter %q: %v", size, delimiter, got)
				}
				got = nil
				v1 := &s3.ListObjectsInput{Bucket: &bucket, MaxKeys: &size, Delimiter: in.Delimiter}
				for range 10 {
					page, err := client.ListObjects(t.Context(), v1)
					if err != nil {
						t.Fatal(err)
					}
					for _, o := range page.Contents {
						got = append(got, *o.Key)
					}
					if !aws.ToBool(page.IsTruncated) {
						break
					}
					if v1.Marker = page.NextMarker; v1.Marker == nil || *v1.Marker == "" {
						v1.Marker = page.Contents[len(page.Contents)-1].Key
					}
				}
				if strings.Join(got, " ") != strings.Join(keys, " ") {
					t.Errorf("v1 pages of %d, delimiter %q: %v", size, delimiter, got)
				}
			}
		}
	})
}
