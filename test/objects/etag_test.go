package objects

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// listedETags returns the ETags and sizes of a bucket's objects, from both versions of LIST.
func listedETags(t *testing.T, at lab.S3, bucket string) map[string]string {
	t.Helper()
	client, found := s3test.SDK(t, at), map[string]string{}
	for p := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: &bucket}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			found[*o.Key] = fmt.Sprintf("%s %d", *o.ETag, *o.Size)
		}
	}
	page, err := client.ListObjects(t.Context(), &s3.ListObjectsInput{Bucket: &bucket})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range page.Contents {
		if got := fmt.Sprintf("%s %d", *o.ETag, *o.Size); got != found[*o.Key] {
			t.Errorf("%s: ListObjects has %s, ListObjectsV2 %s", *o.Key, got, found[*o.Key])
		}
	}
	return found
}

func TestAnObjectHasOneETagEverywhereAndInModeMD5ItIsItsMD5(t *testing.T) {
	lab.OnEachMode(t, func(t *testing.T, at lab.Target, mode string) {
		bucket := s3test.NewBucket(t, at.S3)
		bodies, etags := map[string][]byte{}, map[string]string{}
		for _, size := range []int{0, 1, 1 << 20, 3 << 20, 100_000_000} {
			if size == 100_000_000 && at.Name != lab.OnMinIO && !lab.Long {
				continue
			}
			bodies[fmt.Sprint(size)] = s3test.Content(uint64(size), size)
		}
		bodies["folder/"] = nil
		for key, body := range bodies {
			path := "/" + bucket + "/" + key
			a := s3test.Call{Method: "PUT", Path: path, Body: body}.Do(t, at.S3)
			if a.Status != 200 {
				t.Fatal(a)
			}
			etags[key] = a.Header.Get("ETag")
			encryption := "aws:kms"
			if mode == lab.ModeMD5 {
				encryption = "AES256"
				if etags[key] != s3test.MD5ETag(body) {
					t.Errorf("%s: ETag %s, want the MD5 %s", key, etags[key], s3test.MD5ETag(body))
				}
			}
			check := func(what string, a s3test.Answer, status int) {
				t.Helper()
				if a.Status != status || a.Header.Get("ETag") != etags[key] || a.Header.Get("x-amz-server-side-encryption") != encryption {
					t.Errorf("%s of %s: %v, ETag %s, want %s, encryption %q", what, key, a, a.Header.Get("ETag"), etags[key], a.Header.Get("x-amz-server-side-encryption"))
				}
			}
			check("PUT", a, 200)
			check("HEAD", s3test.Call{Method: "HEAD", Path: path}.Do(t, at.S3), 200)
			got := s3test.Call{Method: "GET", Path: path}.Do(t, at.S3)
			check("GET", got, 200)
			if err := s3test.SameBytes(got.Body, body); err != nil {
				t.Errorf("%s: %v", key, err)
			}
			check("GET with checksum mode", s3test.Call{Method: "GET", Path: path, Headers: map[string]string{"x-amz-checksum-mode": "ENABLED"}}.Do(t, at.S3), 200)
			if len(body) > 0 {
				check("a range", s3test.Call{Method: "GET", Path: path, Headers: map[string]string{"range": "bytes=0-0"}}.Do(t, at.S3), 206)
				check("a suffix", s3test.Call{Method: "GET", Path: path, Headers: map[string]string{"range": "bytes=-1"}}.Do(t, at.S3), 206)
				check("part 1", s3test.Call{Method: "HEAD", Path: path, Query: "partNumber=1"}.Do(t, at.S3), 206)
			}
			attributes := s3test.Call{Method: "GET", Path: path, Query: "attributes=", Headers: map[string]string{"x-amz-object-attributes": "ETag"}}.Do(t, at.S3)
			if at.Name != lab.OnMinIO && key != "folder/" && !bytes.Contains(attributes.Body, []byte("<ETag>"+strings.Trim(etags[key], `"`)+"</ETag>")) {
				t.Errorf("attributes of %s: %v: %s", key, attributes, attributes.Body)
			}
		}
		list := listedETags(t, at.S3, bucket)
		for key, body := range bodies {
			if want := fmt.Sprintf("%s %d", etags[key], len(body)); list[key] != want {
				t.Errorf("%s is listed as %s, want %s", key, list[key], want)
			}
		}
	})
}

func TestAMultipartObjectHasItsETagInBothModesThoughItWasPutRaw(t *testing.T) {
	for _, name := range []string{lab.OnVersitygw, lab.OnMinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if lab.Direct {
				t.Skip("there is no proxy")
			}
			store := lab.OpenMode(t, name, lab.ModeMD5).Store
			proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--etag", "md5"}})
			bucket := s3test.NewBucket(t, proxy.S3())
			raw := s3test.SDK(t, store.S3())
			sizes, plain := []int{5 << 20, 100}, s3test.Content(3, 5<<20+100)
			all := md5.New()
			for _, part := range [][]byte{plain[:5<<20], plain[5<<20:]} {
				sum := md5.Sum(part)
				all.Write(sum[:])
			}
			want := map[string]string{"with": fmt.Sprintf(`"%x-2"`, all.Sum(nil))}
			for _, key := range []string{"with", "without"} {
				fields, stored := s3test.SealMultipart(t, filepath.Join(proxy.DataDir, "keyset.json"), bucket, key, sizes, bytes.Clone(plain), key == "with")
				out, err := raw.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(stored), Metadata: fields})
				if err != nil {
					t.Fatal(err)
				}
				if key == "without" {
					want[key] = strings.TrimSuffix(aws.ToString(out.ETag), `"`) + `-0"`
				}
			}
			list := listedETags(t, proxy.S3(), bucket)
			for key, etag := range want {
				for method, status := range map[string]int{"GET": 200, "HEAD": 200} {
					a := s3test.Call{Method: method, Path: "/" + bucket + "/" + key}.Do(t, proxy.S3())
					if a.Status != status || a.Header.Get("ETag") != etag {
						t.Errorf("%s %s: %v, ETag %s, want %s", method, key, a, a.Header.Get("ETag"), etag)
					}
					if sse := a.Header.Get("x-amz-server-side-encryption"); (sse == "aws:kms") != (key == "without") {
						t.Errorf("%s %s: encryption %q", method, key, sse)
					}
				}
				if a := (s3test.Call{Method: "GET", Path: "/" + bucket + "/" + key, Headers: map[string]string{"range": "bytes=5-9", "if-match": etag}}).Do(t, proxy.S3()); a.Status != 206 || a.Header.Get("ETag") != etag {
					t.Errorf("a range of %s: %v, ETag %s, want %s", key, a, a.Header.Get("ETag"), etag)
				}
				if got := fmt.Sprintf("%s %d", etag, len(plain)); list[key] != got {
					t.Errorf("%s is listed as %s, want %s", key, list[key], got)
				}
			}
		})
	}
}

func TestAListingCostsWhatADirectOneCostsAndInModeMD5TheSecondTime(t *testing.T) {
	lab.OnThese(t, []string{lab.OnVersitygw, lab.OnMinIO}, func(t *testing.T, at lab.Target) {
		if lab.Direct {
			t.Skip("there is no proxy")
		}
		const objects = 30
		for _, mode := range []string{lab.ModeOpaque, lab.ModeMD5} {
			counter := lab.Count(t, at.Store)
			proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: at.Store, UpstreamURL: counter.URL, Args: []string{"--etag", mode}})
			bucket := s3test.NewBucket(t, proxy.S3())
			for i := range objects {
				size := i * 100
				if i == 7 {
					size = 2 << 20 // its MD5 is only in the trailer
				}
				if a := (s3test.Call{Method: "PUT", Path: fmt.Sprintf("/%s/z%02d", bucket, i), Body: s3test.Content(1, size)}).Do(t, proxy.S3()); a.Status != 200 {
					t.Fatal(a)
				}
			}
			list := func(at lab.S3) func() {
				return func() {
					for _, query := range []string{"", "list-type=2", "list-type=2&delimiter=%2F&prefix=z&max-keys=5"} {
						if a := (s3test.Call{Method: "GET", Path: "/" + bucket, Query: query}).Do(t, at); a.Status != 200 {
							t.Errorf("%s: %v", query, a)
						}
					}
				}
			}
			first := counter.During(list(proxy.S3()))
			second := counter.During(list(proxy.S3()))
			straight := counter.During(list(lab.S3{URL: counter.URL, AccessKey: at.Store.AccessKey, SecretKey: at.Store.SecretKey}))
			if len(straight) != 3 || len(second) != len(straight) {
				t.Errorf("%s: a listing again costs %d requests, direct %d: %q", mode, len(second), len(straight), second)
			}
			if want := map[string]int{lab.ModeOpaque: 3, lab.ModeMD5: 3 + objects + 1}[mode]; len(first) != want {
				t.Errorf("%s: a first listing costs %d requests, want %d: %q", mode, len(first), want, first)
			}
		}
	})
}
