package objects

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// The sizes of the objects' parts, as clients choose them: multiples of 64 KiB, and others.
var readParts = map[string][]int{"put": nil, "even": {5 << 20, 300_000}, "odd": {5<<20 + 17, 300_000}}

// TestAReadCostsTheStoreNoMoreRequestsThanItNeeds counts them for each way to read an object, at the first
// time and at the second.
func TestAReadCostsTheStoreNoMoreRequestsThanItNeeds(t *testing.T) {
	lab.OnThese(t, lab.RealStores, func(t *testing.T, at lab.Target) {
		if lab.Direct {
			t.Skip("there is no proxy")
		}
		mode := map[string]string{lab.OnVersitygw: lab.ModeOpaque, lab.OnMinIO: lab.ModeMD5}[at.Name]
		counter := lab.Count(t, at.Store)
		proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: at.Store, UpstreamURL: counter.URL, Args: []string{"--etag", mode}})
		client, bucket := s3test.SDK(t, proxy.S3()), s3test.NewBucket(t, proxy.S3())
		s3test.RoundTrip(t, proxy.S3(), bucket, 10) // the bucket is known
		for i, c := range []struct {
			object, method, query, rng string
			cold, warm                 int
		}{
			{"put", "GET", "", "", 1, 1}, {"put", "HEAD", "", "", 1, 1},
			{"put", "GET", "", "bytes=70000-70099", 2, 1}, {"put", "GET", "", "bytes=-8", 1, 1}, {"put", "GET", "partNumber=1", "", 2, 1},
			{"even", "GET", "", "", 2, 1}, {"even", "HEAD", "", "", 2, 1},
			{"even", "GET", "", "bytes=70000-70099", 2, 1}, {"even", "GET", "", "bytes=5242875-5400000", 2, 1}, {"even", "GET", "", "bytes=5542872-5542879", 2, 1},
			{"even", "GET", "", "bytes=5000000-", 2, 1},
			{"even", "GET", "", "bytes=-8", 1, 1}, {"even", "GET", "", "bytes=-65536", 1, 1}, {"even", "GET", "", "bytes=-200000", 2, 1},
			{"even", "GET", "partNumber=1", "", 2, 1}, {"even", "GET", "partNumber=2", "", 2, 1},
			{"odd", "GET", "", "bytes=70000-70099", 2, 1}, {"odd", "GET", "", "bytes=-65536", 1, 1}, {"odd", "GET", "", "bytes=5400000-5400099", 3, 1},
		} {
			key := fmt.Sprintf("%s-%d", c.object, i)
			body := putForRead(t, proxy.S3(), client, bucket, key, readParts[c.object])
			read := s3test.Call{Method: c.method, Path: "/" + bucket + "/" + key, Query: c.query, Headers: map[string]string{}}
			if c.rng != "" {
				read.Headers["range"] = c.rng
			}
			for _, time := range []struct {
				name string
				want int
			}{{"cold", c.cold}, {"warm", c.warm}} {
				var a s3test.Answer
				asked := ofKey(counter.During(func() { a = read.Do(t, proxy.S3()) }), key)
				if len(asked) != time.want {
					t.Errorf("%s, %s: %s of an object of parts %v, %s %s: %d requests, want %d: %q", mode, time.name, c.method, readParts[c.object], c.query, c.rng, len(asked), time.want, asked)
				}
				from := 0
				if _, err := fmt.Sscanf(a.Header.Get("Content-Range"), "bytes %d-", &from); a.Status/100 != 2 || err != nil && c.rng+c.query != "" {
					t.Fatalf("%s %s: %v, Content-Range %q", c.query, c.rng, a, a.Header.Get("Content-Range"))
				}
				if err := s3test.SameBytes(a.Body, body[from:from+len(a.Body)]); err != nil || len(a.Body) == 0 && c.method == "GET" {
					t.Errorf("%s %s: %d bytes: %v", c.query, c.rng, len(a.Body), err)
				}
			}
		}
	})
}

// putForRead writes an object and gives its content. nil: with one PUT.
func putForRead(t *testing.T, at lab.S3, client *s3.Client, bucket, key string, sizes []int) (body []byte) {
	t.Helper()
	if sizes == nil {
		body = s3test.Content(3, 500_000)
		s3test.MustPut(t, at, "/"+bucket+"/"+key, body)
		return body
	}
	var parts [][]byte
	for i, n := range sizes {
		parts = append(parts, s3test.Content(uint64(i), n))
	}
	if err := s3test.PutParts(t.Context(), client, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key}, parts); err != nil {
		t.Fatal(err)
	}
	return slices.Concat(parts...)
}

// ofKey are the requests about an object of the bucket itself.
func ofKey(asked []string, key string) (of []string) {
	for _, a := range asked {
		if strings.Contains(a, "/"+key) && !strings.Contains(a, "/.s3proxy/") {
			of = append(of, a)
		}
	}
	return of
}

// TestReadersWhoComeTogetherReadTheEndOnce: sixteen ask for ranges of one object that nobody has
// read. The store answers for the end when it has been asked for all ranges.
func TestReadersWhoComeTogetherReadTheEndOnce(t *testing.T) {
	lab.OnThese(t, lab.RealStores, func(t *testing.T, at lab.Target) {
		if lab.Direct {
			t.Skip("there is no proxy")
		}
		const readers = 16
		counter := lab.Count(t, at.Store)
		proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: at.Store, UpstreamURL: counter.URL})
		client, bucket := s3test.SDK(t, proxy.S3()), s3test.NewBucket(t, proxy.S3())
		body := putForRead(t, proxy.S3(), client, bucket, "k", readParts["even"])
		var ranges atomic.Int64
		allAsked := make(chan struct{})
		counter.First = func(r *http.Request) {
			switch rng := r.Header.Get("Range"); {
			case !strings.HasSuffix(r.URL.Path, "/k"):
			case strings.HasPrefix(rng, "bytes=-"):
				<-allAsked
			case rng != "" && ranges.Add(1) == readers:
				close(allAsked)
			}
		}
		asked := ofKey(counter.During(func() {
			var all sync.WaitGroup
			for i := range readers {
				all.Go(func() {
					from := i * 330_000
					a := s3test.Call{Method: "GET", Path: "/" + bucket + "/k", Headers: map[string]string{"range": fmt.Sprintf("bytes=%d-%d", from, from+999)}}.Do(t, proxy.S3())
					if err := s3test.SameBytes(a.Body, body[from:from+1000]); a.Status != 206 || err != nil {
						t.Errorf("from %d: %v: %v", from, a, err)
					}
				})
			}
			all.Wait()
		}), "k")
		if len(asked) != readers+1 {
			t.Errorf("%d requests for %d ranges: %q", len(asked), readers, asked)
		}
	})
}

// TestRangesOfADownloadCostNoMoreWhereTheyNameTheETag: boto3, aws-cli and the Java SDK send If-Match
// with each of them. In mode md5 the store does not know the ETag.
func TestRangesOfADownloadCostNoMoreWhereTheyNameTheETag(t *testing.T) {
	lab.OnThese(t, lab.RealStores, func(t *testing.T, at lab.Target) {
		if lab.Direct {
			t.Skip("there is no proxy")
		}
		counter := lab.Count(t, at.Store)
		proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: at.Store, UpstreamURL: counter.URL, Args: []string{"--etag", lab.ModeMD5}})
		client, bucket := s3test.SDK(t, proxy.S3()), s3test.NewBucket(t, proxy.S3())
		for object, parts := range readParts {
			body := putForRead(t, proxy.S3(), client, bucket, object, parts)
			read := s3test.Call{Method: "HEAD", Path: "/" + bucket + "/" + object}
			etag := read.Do(t, proxy.S3()).Header.Get("ETag")
			for i, query := range []string{"", "", "partNumber=1"} {
				read = s3test.Call{Method: "GET", Path: read.Path, Query: query, Headers: map[string]string{"if-match": etag}}
				if query == "" {
					read.Headers["range"] = fmt.Sprintf("bytes=%d-%d", i*1000, i*1000+99)
				}
				var a s3test.Answer
				asked := ofKey(counter.During(func() { a = read.Do(t, proxy.S3()) }), object)
				from := 0
				if _, err := fmt.Sscanf(a.Header.Get("Content-Range"), "bytes %d-", &from); err != nil || a.Status != 206 || a.Header.Get("ETag") != etag {
					t.Fatalf("%s: %v", object, a)
				}
				if err := s3test.SameBytes(a.Body, body[from:from+len(a.Body)]); err != nil {
					t.Errorf("%s: %v", object, err)
				}
				if cold := i == 0 && parts == nil; len(asked) != 1 && !(cold && len(asked) == 2) { // HEAD has seen the end of others
					t.Errorf("%s, range %d: %d requests: %q", object, i, len(asked), asked)
				}
			}
			s3test.MustPut(t, proxy.S3(), read.Path, []byte("another"))
			if a := read.Do(t, proxy.S3()); a.Status != 412 {
				t.Errorf("%s, replaced: %v", object, a)
			}
		}
	})
}
