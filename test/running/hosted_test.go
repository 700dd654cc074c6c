package running

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

func TestClientsMayPutTheBucketIntoTheHost(t *testing.T) {
	t.Parallel()
	p := lab.HostedProxy(t)
	client, endpoint := lab.Hosted(p.Address)
	body := s3test.Content(5, 200_000)

	t.Run("aws-sdk-go-v2", func(t *testing.T) {
		for _, bucket := range []string{s3test.NewBucket(t, p.S3()), "dotted." + s3test.NewBucket(t, p.S3())} {
			sdk, byPath := s3test.HostedSDK(t, p.S3(), client, endpoint), s3test.SDK(t, p.S3())
			if strings.HasPrefix(bucket, "dotted.") {
				if _, err := sdk.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
					t.Fatal(err)
				}
			}
			for _, key := range []string{"key", "a/b//c d+e%äß", bucket + "/key", "/lead"} {
				if _, err := sdk.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body)}); err != nil {
					t.Fatalf("%s: %v", key, err)
				}
				got, err := sdk.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
				if err != nil {
					t.Fatalf("%s: %v", key, err)
				}
				if read, err := io.ReadAll(got.Body); err != nil || s3test.SameBytes(read, body) != nil {
					t.Errorf("%s: %v, or other bytes", key, err)
				}
				// The other addressing style names the same object.
				same, err := byPath.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
				if err != nil {
					t.Fatalf("%s by path: %v", key, err)
				}
				if read, err := io.ReadAll(same.Body); err != nil || s3test.SameBytes(read, body) != nil {
					t.Errorf("%s by path: %v, or other bytes", key, err)
				}
			}
			list, err := sdk.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket})
			if err != nil || len(list.Contents) == 0 {
				t.Fatal(err)
			}
		}
		if _, err := s3test.HostedSDK(t, p.S3(), client, endpoint).ListBuckets(t.Context(), nil); err != nil {
			t.Errorf("the domain itself: %v", err)
		}
	})

	t.Run("minio-go", func(t *testing.T) {
		bucket := s3test.NewBucket(t, p.S3())
		mc, err := minio.New(strings.TrimPrefix(endpoint, "http://"), &minio.Options{
			Creds:  credentials.NewStaticV4(p.S3().AccessKey, p.S3().SecretKey, ""),
			Region: "us-east-1", BucketLookup: minio.BucketLookupDNS, Transport: client.Transport,
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := mc.PutObject(t.Context(), bucket, "a/key", bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
		o, err := mc.GetObject(t.Context(), bucket, "a/key", minio.GetObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if read, err := io.ReadAll(o); err != nil || s3test.SameBytes(read, body) != nil {
			t.Errorf("%v, or other bytes", err)
		}
	})

	t.Run("a form", func(t *testing.T) {
		bucket := s3test.NewBucket(t, p.S3())
		kind, head, tail := s3test.SignedForm(t, p.S3(), bucket, "folder/form")
		at := strings.Replace(endpoint, lab.HostDomain, bucket+"."+lab.HostDomain, 1)
		resp, err := client.Post(at, kind, bytes.NewReader(append(append(head, body...), tail...)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if want := at + "/folder%2Fform"; resp.StatusCode != http.StatusNoContent || resp.Header.Get("Location") != want {
			t.Errorf("%d, Location %s, not %s", resp.StatusCode, resp.Header.Get("Location"), want)
		}
		if got := s3test.Get(t, p.S3(), "/"+bucket+"/folder/form"); s3test.SameBytes(got.Body, body) != nil {
			t.Errorf("%v", got)
		}
	})
}

// The host is signed: a signature for one bucket does not open another.
func TestTheHostThatNamesTheBucketIsSigned(t *testing.T) {
	t.Parallel()
	p := lab.HostedProxy(t)
	client, endpoint := lab.Hosted(p.Address)
	one, other := s3test.NewBucket(t, p.S3()), s3test.NewBucket(t, p.S3())
	sdk := s3test.HostedSDK(t, p.S3(), client, endpoint)
	for _, bucket := range []string{one, other} {
		if _, err := sdk.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("key"), Body: strings.NewReader(bucket)}); err != nil {
			t.Fatal(err)
		}
	}
	signed, err := s3.NewPresignClient(sdk).PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: &one, Key: aws.String("key")})
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]int{signed.URL: 200, strings.Replace(signed.URL, one+".", other+".", 1): 403} {
		resp, err := client.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want || want == 200 && string(body) != one {
			t.Errorf("%s: %d %s", address, resp.StatusCode, body)
		}
	}
}

// storeHosts is a forward proxy to a store whose name no resolver knows. It records the hosts of
// its requests.
type storeHosts struct {
	*httptest.Server
	sync.Mutex
	seen map[string]bool
}

func forwardTo(t testing.TB, address string) *storeHosts {
	f := &storeHosts{seen: map[string]bool{}}
	to := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: address})
			r.Out.URL.Path, r.Out.URL.RawPath = r.In.URL.Path, r.In.URL.RawPath
			r.Out.Host = r.In.Host
		},
	}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.Lock()
		f.seen[r.Host] = true
		f.Unlock()
		to.ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func TestStoresMayHaveTheBucketInTheHost(t *testing.T) {
	if lab.Direct {
		t.Skip("the test observes the proxy's own requests")
	}
	for name, start := range map[string]func(testing.TB, string) *lab.Store{lab.OnVersitygw: lab.VersitygwBelow, lab.OnMinIO: lab.MinIOBelow} {
		for _, addressing := range []string{"virtual", "path", "auto"} {
			t.Run(name+" "+addressing, func(t *testing.T) {
				t.Parallel()
				store := start(t, lab.HostDomain)
				hosts := forwardTo(t, store.Address)
				p := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--upstream-addressing", addressing}, Env: []string{"HTTP_PROXY=" + hosts.URL}})
				bucket := s3test.NewBucket(t, p.S3())
				client := s3test.SDK(t, p.S3())
				for key, size := range map[string]int{"key": 10, "a/b c d+e%äß": 70_000, "large": 3_000_000} {
					body := s3test.Content(9, size)
					if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body)}); err != nil {
						t.Fatalf("%s: %v", key, err)
					}
					got, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
					if err != nil {
						t.Fatalf("%s: %v", key, err)
					}
					if read, err := io.ReadAll(got.Body); err != nil || s3test.SameBytes(read, body) != nil {
						t.Errorf("%s: %v, or other bytes", key, err)
					}
				}
				list, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket})
				if err != nil {
					t.Fatal(err)
				}
				var keys []string
				for _, o := range list.Contents {
					keys = append(keys, *o.Key)
				}
				if !slices.Equal(keys, []string{"a/b c d+e%äß", "key", "large"}) {
					t.Errorf("listed: %q", keys)
				}
				if _, err := client.ListBuckets(t.Context(), nil); err != nil {
					t.Error(err)
				}
				_, domain, _ := strings.Cut(store.URL, "//")
				hosts.Lock()
				defer hosts.Unlock()
				if hosts.seen[bucket+"."+domain] != (addressing == "virtual") || !hosts.seen[domain] {
					t.Errorf("the store was asked at %v", hosts.seen)
				}
			})
		}
	}
}
