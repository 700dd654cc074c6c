package objects

import (
	"bytes"
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

func TestConditionsHoldWithTheETagThatTheClientWasGiven(t *testing.T) {
	lab.OnEachMode(t, func(t *testing.T, at lab.Target, mode string) {
		bucket := s3test.NewBucket(t, at.S3)
		path := "/" + bucket + "/k"
		send := func(method string, body []byte, headers ...string) s3test.Answer {
			h := map[string]string{}
			for i := 0; i < len(headers); i += 2 {
				h[headers[i]] = headers[i+1]
			}
			return s3test.Call{Method: method, Path: path, Body: body, Headers: h}.Do(t, at.S3)
		}
		absent := `"00000000000000000000000000000000"`
		if mode == lab.ModeOpaque {
			absent = `"00000000000000000000000000000000-0"`
		}
		if a := send("PUT", []byte("early"), "if-match", absent); a.Status != 404 {
			t.Errorf("If-Match on a missing object: %v", a)
		}
		first := send("PUT", []byte("first"))
		etag, encryption := first.Header.Get("ETag"), first.Header.Get("x-amz-server-side-encryption")
		switch mode {
		case lab.ModeOpaque:
			if !strings.HasSuffix(etag, `-0"`) || encryption != "aws:kms" {
				t.Fatalf("ETag %s, encryption %q", etag, encryption)
			}
		case lab.ModeMD5:
			if etag != s3test.MD5ETag([]byte("first")) || encryption != "AES256" {
				t.Fatalf("ETag %s, encryption %q", etag, encryption)
			}
		}
		future, past := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)
		both := absent + ", " + etag
		for _, c := range []struct {
			headers []string
			status  int
		}{
			{[]string{"if-match", etag}, 200}, {[]string{"if-match", absent}, 412}, {[]string{"if-match", "*"}, 200},
			{[]string{"if-none-match", etag}, 304}, {[]string{"if-none-match", absent}, 200},
			{[]string{"if-modified-since", past}, 200}, {[]string{"if-unmodified-since", past}, 412}, {[]string{"if-unmodified-since", future}, 200},
			{[]string{"if-match", etag, "if-unmodified-since", past}, 200}, {[]string{"if-none-match", absent, "if-unmodified-since", past}, 412},
			{[]string{"if-match", absent, "if-none-match", etag}, 412}, {[]string{"if-match", etag, "if-none-match", etag}, 304},
		} {
			if mode == lab.ModeOpaque && at.Name == lab.OnMinIO && slices.Contains(c.headers, absent) && slices.Contains(c.headers, etag) {
				continue // MinIO checks If-None-Match first
			}
			for _, method := range []string{"GET", "HEAD"} {
				a := send(method, nil, c.headers...)
				if a.Status != c.status {
					t.Errorf("%s with %s: %v, want %d", method, c.headers, a, c.status)
				}
				// versitygw's own 304 has no ETag.
				if (a.Status == 200 || a.Status == 304 && (at.Name == lab.OnMinIO || mode == lab.ModeMD5)) && a.Header.Get("ETag") != etag {
					t.Errorf("%s with %s: ETag %q, want %s", method, c.headers, a.Header.Get("ETag"), etag)
				}
				// MinIO's own 412 has no Condition.
				if method == "GET" && a.Status == 412 && (a.Code != "PreconditionFailed" || at.Name != lab.OnMinIO && !bytes.Contains(a.Body, []byte("<Condition>"))) {
					t.Errorf("GET with %s: %v: %s", c.headers, a, a.Body)
				}
			}
			if a := send("GET", nil, append([]string{"range", "bytes=1-2"}, c.headers...)...); a.Status != c.status && !(c.status == 200 && a.Status == 206) {
				t.Errorf("a range with %s: %v", c.headers, a)
			}
		}
		// The proxy itself compares lists of ETags and, in this mode, also weak ETags and both
		// forms.
		compared := map[string]int{"if-match " + both: 200, "if-none-match " + both: 304, "if-match " + absent + "," + absent: 412, "if-none-match " + absent + "," + absent: 200}
		if mode == lab.ModeMD5 {
			compared["if-match W/"+etag], compared["if-none-match W/"+etag] = 412, 304
		}
		for condition, status := range compared {
			name, value, _ := strings.Cut(condition, " ")
			for _, method := range []string{"GET", "HEAD"} {
				if a := send(method, nil, name, value); a.Status != status {
					t.Errorf("%s with %s: %v, want %d", method, condition, a, status)
				}
			}
		}
		for value, status := range map[string]int{etag: 206, absent: 200} {
			if a := send("GET", nil, "range", "bytes=1-2", "if-range", value); a.Status != status {
				t.Errorf("If-Range %s: %v, want %d", value, a, status)
			}
		}
		for _, size := range []int{4, 1<<20 + 1} { // held in memory, and streamed
			body := s3test.Content(uint64(size), size)
			if a := send("PUT", body, "if-match", absent); a.Status != 412 || a.Code != "PreconditionFailed" || (mode == lab.ModeMD5 || at.Name != lab.OnMinIO) && !bytes.Contains(a.Body, []byte("<Condition>If-Match</Condition>")) {
				t.Errorf("PUT of %d bytes with another If-Match: %v: %s", size, a, a.Body)
			}
			if a := send("PUT", body, "if-none-match", "*"); a.Status != 412 {
				t.Errorf("PUT of %d bytes with If-None-Match: *: %v", size, a)
			}
			// versitygw, like AWS, accepts only "*" there in a PUT.
			if a := send("PUT", body, "if-none-match", etag); a.Status != 412 && (at.Name == lab.OnMinIO || a.Status != 501) {
				t.Errorf("PUT of %d bytes with If-None-Match: the current ETag: %v", size, a)
			}
			if a := send("PUT", body, "if-match", absent+", "+absent); a.Status != 412 {
				t.Errorf("PUT of %d bytes with If-Match: two other ETags: %v", size, a)
			}
			a := send("PUT", body, "if-match", absent+", "+etag)
			if a.Status != 200 {
				t.Errorf("PUT of %d bytes with If-Match: %v", size, a)
			}
			list := s3test.Call{Method: "GET", Path: "/" + bucket, Query: "list-type=2"}.Do(t, at.S3)
			now := send("HEAD", nil).Header.Get("ETag")
			if now == etag || now != a.Header.Get("ETag") || !bytes.Contains(list.Body, []byte(strings.Trim(now, `"`))) {
				t.Errorf("HEAD's ETag %s is not in the listing: %s", now, list.Body)
			}
			etag = now
		}
		if mode == lab.ModeMD5 { // in mode opaque, the store decides, and may do nothing
			if a := send("DELETE", nil, "if-match", absent); a.Status != 412 {
				t.Errorf("DELETE with another If-Match: %v", a)
			}
			document := fmt.Sprintf("<Delete><Object><Key>k</Key><ETag>%s</ETag></Object></Delete>", absent)
			a := s3test.Call{Method: "POST", Path: "/" + bucket, Query: "delete=", Body: []byte(document)}.Do(t, at.S3)
			if !bytes.Contains(a.Body, []byte("<Code>PreconditionFailed</Code>")) {
				t.Errorf("DeleteObjects with another ETag: %v: %s", a, a.Body)
			}
			document = fmt.Sprintf("<Delete><Object><Key>k</Key><ETag>%s</ETag></Object></Delete>", etag)
			if a := (s3test.Call{Method: "POST", Path: "/" + bucket, Query: "delete=", Body: []byte(document)}).Do(t, at.S3); !bytes.Contains(a.Body, []byte("<Deleted>")) {
				t.Errorf("DeleteObjects with the ETag: %v: %s", a, a.Body)
			}
			again := send("PUT", []byte("again"))
			if a := send("DELETE", nil, "if-match", again.Header.Get("ETag")); a.Status != 204 {
				t.Errorf("DELETE with If-Match: %v", a)
			}
			if a := send("HEAD", nil); a.Status != 404 {
				t.Errorf("after DELETE: %v", a)
			}
		}
	})
}

func TestASuffixRangeOfAnEmptyObjectIsTheWholeObjectAndOtherRangesAreRefused(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := s3test.NewBucket(t, at.S3)
		for _, key := range []string{"empty", "folder/"} {
			path := "/" + bucket + "/" + key
			if a := (s3test.Call{Method: "PUT", Path: path}).Do(t, at.S3); a.Status != 200 {
				t.Fatal(a)
			}
			for byteRange, status := range map[string]int{"bytes=-5": 200, "bytes=-0": 416, "bytes=0-": 416, "bytes=0-0": 416, "bytes= -1": 200} {
				for _, method := range []string{"GET", "HEAD"} {
					a := s3test.Call{Method: method, Path: path, Headers: map[string]string{"range": byteRange}}.Do(t, at.S3)
					if a.Status != status || status == 200 && len(a.Body) > 0 {
						t.Errorf("%s of %s with %s: %v, want %d", method, key, byteRange, a, status)
					}
				}
			}
		}
	})
}

func TestABucketWithOnlyStateObjectsCanBeDeletedAndARefusalPutsThemBack(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		client, bucket := s3test.SDK(t, at.S3), s3test.NewBucket(t, at.S3)
		remove := func() error {
			_, err := client.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: &bucket})
			return err
		}
		s3test.RoundTrip(t, at.S3, bucket, 1000)
		if err := remove(); err == nil || !strings.Contains(err.Error(), "BucketNotEmpty") {
			t.Errorf("a bucket with an object: %v", err)
		}
		if at.Name == lab.OnMinIO {
			// A noncurrent version: listings show nothing, but the store refuses to delete the
			// bucket.
			raw := s3test.SDK(t, at.Store.S3())
			if _, err := raw.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: &bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}}); err != nil {
				t.Fatal(err)
			}
			if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &bucket, Key: aws.String("k")}); err != nil {
				t.Fatal(err)
			}
			if err := remove(); err == nil || !strings.Contains(err.Error(), "BucketNotEmpty") {
				t.Errorf("a bucket with an old version: %v", err)
			}
			if n := s3test.Records(t, at.Store.S3(), bucket); n != 1 {
				t.Errorf("%d records are left, want one", n)
			}
			return
		}
		if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &bucket, Key: aws.String("k")}); err != nil {
			t.Fatal(err)
		}
		if err := remove(); err != nil {
			t.Fatal(err)
		}
		// Created again while the process runs: a new window, with its record.
		if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
			t.Fatal(err)
		}
		s3test.RoundTrip(t, at.S3, bucket, 1000)
		if at.Store != nil {
			if n := s3test.Records(t, at.Store.S3(), bucket); n != 1 {
				t.Errorf("%d records in the new bucket, want 1", n)
			}
		}
	})
}

func TestPagesAreFullThoughOurOwnObjectsAreLeftOut(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		client, bucket := s3test.SDK(t, at.S3), s3test.NewBucket(t, at.S3)
		// "-" sorts before ".s3proxy/", letters after it.
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
