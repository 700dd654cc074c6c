package running

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// bucketNames lists the buckets in pages of two.
func bucketNames(t *testing.T, at lab.S3, in s3.ListBucketsInput) (names []string) {
	t.Helper()
	pages := s3.NewListBucketsPaginator(s3test.SDK(t, at), &in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if in.MaxBuckets != nil && len(page.Buckets) > int(*in.MaxBuckets) {
			t.Errorf("a page of %d buckets, at most %d were asked for", len(page.Buckets), *in.MaxBuckets)
		}
		for _, b := range page.Buckets {
			if b.CreationDate == nil {
				t.Errorf("bucket %s has no date", *b.Name)
			}
			names = append(names, *b.Name)
		}
	}
	return names
}

func TestBucketsMayLiveInAnotherStoreUnderAnotherKey(t *testing.T) {
	t.Parallel()
	first, second := lab.Versitygw(t), lab.SharedMinIO(t)
	uri, _ := lab.NewKeyset(t)
	here, there, absent := lab.FreeName("here"), lab.FreeName("there"), lab.FreeName("absent")
	secret := lab.PrivateFile(t, second.SecretKey+"\n")
	config := lab.PrivateFile(t, fmt.Sprintf(`
buckets:
  %s:
    kms: %s
    etag: opaque
    upstream:
      url: %s
      credentials: {access-key-id: %s, secret-access-key-file: %s}
  %s:
    upstream:
      url: %s
      credentials: {access-key-id-env: ABSENT_ID, secret-access-key-env: ABSENT_SECRET}
`, there, uri, second.URL, second.AccessKey, secret, absent, second.URL))
	proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: first, Args: []string{"--config", config},
		Env: []string{"ABSENT_ID=" + second.AccessKey, "ABSENT_SECRET=" + second.SecretKey}})
	s3test.MakeBucket(t, proxy.S3(), here)
	s3test.MakeBucket(t, proxy.S3(), there)
	s3test.MakeBucket(t, first.S3(), absent) // unreachable here: that name belongs to the second store
	for _, bucket := range []string{here, there} {
		s3test.RoundTrip(t, proxy.S3(), bucket, 100_000)
		if _, err := s3test.SDK(t, proxy.S3()).HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: &bucket}); err != nil {
			t.Error(err)
		}
	}
	if got := bucketNames(t, first.S3(), s3.ListBucketsInput{}); slices.Contains(got, there) {
		t.Errorf("the first store has %v", got)
	}
	kek := s3test.RawGet(t, second.S3(), "/"+there+"/k").Meta["s3proxy-kek"]
	if other := s3test.RawGet(t, first.S3(), "/"+here+"/k").Meta["s3proxy-kek"]; kek == other {
		t.Errorf("both are under %s", kek)
	}
	want := []string{here, there}
	if got := bucketNames(t, proxy.S3(), s3.ListBucketsInput{}); !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
	if got := bucketNames(t, proxy.S3(), s3.ListBucketsInput{MaxBuckets: aws.Int32(1)}); !slices.Equal(got, want) {
		t.Errorf("listed by pages of one: %v, want %v", got, want)
	}
	if got := bucketNames(t, proxy.S3(), s3.ListBucketsInput{Prefix: aws.String("there")}); !slices.Equal(got, want[1:]) {
		t.Errorf("listed by prefix: %v", got)
	}
	if got := bucketNames(t, proxy.S3(), s3.ListBucketsInput{Prefix: aws.String("here")}); !slices.Equal(got, want[:1]) {
		t.Errorf("listed by the other prefix: %v", got)
	}
	if a := (s3test.Call{Method: "GET", Path: "/", Query: "max-buckets=0"}).Do(t, proxy.S3()); a.Status != 400 {
		t.Errorf("pages of none: %v", a)
	}
	t.Run("aws", func(t *testing.T) {
		lab.MustRun(t, proxy.S3().Env(), lab.Need(t, "aws"), "--endpoint-url", proxy.URL, "s3", "ls")
	})
}

// The store's policy lets the proxy use a bucket, but not list all buckets.
func TestABucketElsewhereIsListedThoughItsStoreRefusesToList(t *testing.T) {
	t.Parallel()
	first, second := lab.Versitygw(t), lab.SharedMinIO(t)
	forward := lab.WayTo(t, second)
	var status atomic.Int32
	status.Store(http.StatusForbidden)
	strict := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			w.WriteHeader(int(status.Load()))
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(strict.Close)
	there, absent := lab.FreeName("there"), lab.FreeName("absent")
	upstream := fmt.Sprintf("{upstream: {url: '%s', credentials: {access-key-id: %s, secret-access-key-file: %s}}}", strict.URL, second.AccessKey, lab.PrivateFile(t, second.SecretKey))
	config := lab.PrivateFile(t, "buckets:\n  "+there+": "+upstream+"\n  "+absent+": "+upstream+"\n")
	proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: first, Args: []string{"--config", config}})
	s3test.MakeBucket(t, proxy.S3(), there)
	if got := bucketNames(t, proxy.S3(), s3.ListBucketsInput{}); !slices.Equal(got, []string{there}) {
		t.Errorf("listed %v", got)
	}
	status.Store(http.StatusServiceUnavailable)
	if a := (s3test.Call{Method: "GET", Path: "/"}).Do(t, proxy.S3()); a.Status != 503 {
		t.Errorf("with a store that does not answer: %v", a)
	}
}

func TestASettingThatCannotWorkStopsTheStart(t *testing.T) {
	t.Parallel()
	uri, _ := lab.NewKeyset(t)
	open := lab.PrivateFile(t, "credentials:\n  - {access-key-id: a, secret-access-key: "+lab.ClientSecretKey+"}\n")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		config string
		args   []string
		want   string
	}{
		{lab.PrivateFile(t, "buckets:\n  b-1: {kms: 'localfile:///nowhere/keyset.json'}\n"), nil, "bucket b-1"},
		{lab.PrivateFile(t, "buckets:\n  b-1: {kms: 'nokms://x'}\n"), nil, "nokms"},
		{lab.PrivateFile(t, "buckets:\n  b-1: {kms-read: ['nokms://y']}\n"), nil, "nokms"},
		{open, nil, "chmod 600"},
		{lab.PrivateFile(t, ""), []string{"--credentials", open}, "chmod 600"},
		{lab.PrivateFile(t, "buckets:\n  b-1: {upstream: {url: 'http://127.0.0.1:1', credentials: {access-key-id: x, secret-access-key-env: NOT_SET}}}\n"), nil, "NOT_SET"},
	} {
		lab.MustNotStart(t, lab.ProxyOptions{Args: append([]string{"--kms", uri, "--config", c.config}, c.args...)}, false, c.want)
	}
}

// copyRaw copies a bucket as replication by the store would: bytes and metadata, under a bucket
// name that the proxy does not know.
func copyRaw(t *testing.T, store *lab.Store, from, to string) {
	t.Helper()
	raw := s3test.SDK(t, store.S3())
	list, err := raw.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &from})
	if err != nil || len(list.Contents) == 0 {
		t.Fatal(len(list.Contents), err)
	}
	for _, o := range list.Contents {
		object := s3test.RawGet(t, store.S3(), "/"+from+"/"+*o.Key)
		s3test.RawPut(t, store.S3(), "/"+to+"/"+*o.Key, object)
	}
}

func TestACopiedBucketReadsThroughItsAlias(t *testing.T) {
	for _, name := range []string{lab.OnVersitygw, lab.OnMinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := lab.Open(t, name).Store
			oldURI, oldPath := lab.NewKeyset(t)
			newURI, newPath := lab.NewKeyset(t)
			writer := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--kms", oldURI}})
			origin, replica := s3test.NewBucket(t, writer.S3()), lab.FreeName("replica")
			s3test.RoundTrip(t, writer.S3(), origin, 100_000)
			s3test.MakeBucket(t, store.S3(), replica)
			copyRaw(t, store, origin, replica)
			want := s3test.Content(100_000, 100_000)

			if a := s3test.Get(t, writer.S3(), "/"+replica+"/k"); a.Status != 500 {
				t.Errorf("without the alias: %v", a)
			}
			config := lab.PrivateFile(t, "buckets:\n  "+replica+": {alias: "+origin+"}\n")
			for _, args := range [][]string{{"--bucket-alias", replica + "=" + origin}, {"--config", config}} {
				reader := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: append(args, "--kms", oldURI)})
				s3test.MustGet(t, reader.S3(), replica, "k", want)
				s3test.MustGet(t, reader.S3(), origin, "k", want)
				// What is written there can be read there, and in a copy back.
				body := s3test.Content(5, 5000)
				s3test.MustPut(t, reader.S3(), "/"+replica+"/new", body)
				s3test.MustGet(t, reader.S3(), replica, "new", body)
				s3test.RawPut(t, store.S3(), "/"+origin+"/new", s3test.RawGet(t, store.S3(), "/"+replica+"/new"))
				s3test.MustGet(t, writer.S3(), origin, "new", body)
			}

			file := filepath.Join(t.TempDir(), "out")
			if out, code := lab.Command(t, store, "decrypt", "s3://"+replica+"/k", "-o", file, "--kms", oldURI, "--upstream", store.URL, "--bucket-alias", replica+"="+origin); code != 0 {
				t.Errorf("decrypt of the replica: %s", out)
			}
			if got, err := os.ReadFile(file); err != nil || s3test.SameBytes(got, want) != nil {
				t.Errorf("decrypt of the replica wrote %d bytes, %v", len(got), err)
			}

			// Without the key that the metadata names, the record in the replica serves.
			if list := s3test.Records(t, store.S3(), replica); list != 3 {
				t.Fatalf("%d records in the replica, want that of the origin and two of the readers", list)
			}
			raw := s3test.SDK(t, store.S3())
			out, err := raw.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &origin, Prefix: aws.String(".s3proxy/keys/")})
			if err != nil {
				t.Fatal(err)
			}
			keep := []string{}
			for _, o := range out.Contents {
				keep = append(keep, *o.Key)
			}
			all, err := raw.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &replica, Prefix: aws.String(".s3proxy/keys/")})
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range all.Contents {
				if !slices.Contains(keep, *o.Key) {
					if _, err := raw.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &replica, Key: o.Key}); err != nil {
						t.Fatal(err)
					}
				}
			}
			alone := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--bucket-alias", replica + "=" + origin, "--kms", newURI}})
			if a := s3test.Get(t, alone.S3(), "/"+replica+"/k"); a.Status != 500 {
				t.Errorf("before the record was wrapped again: %v", a)
			}
			rewrapRecord(t, store, replica, origin, oldPath, newPath)
			s3test.MustGet(t, alone.S3(), replica, "k", want)
			if a := s3test.Get(t, alone.S3(), "/"+origin+"/k"); a.Status != 500 {
				t.Errorf("the origin, whose record was not: %v", a)
			}
		})
	}
}

func TestTwoReplicasOfOneOriginKeepTheirOwnRecords(t *testing.T) {
	t.Parallel()
	store := lab.SharedVersitygw(t)
	origin, one, two := lab.FreeName("origin"), lab.FreeName("one"), lab.FreeName("two")
	proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--bucket-alias", one + "=" + origin, "--bucket-alias", two + "=" + origin}})
	for _, bucket := range []string{origin, one, two} {
		s3test.MakeBucket(t, proxy.S3(), bucket)
		s3test.RoundTrip(t, proxy.S3(), bucket, 1000)
		if n := s3test.Records(t, store.S3(), bucket); n != 1 {
			t.Errorf("%d records in %s, want its own", n, bucket)
		}
	}
	// The bucket is deleted and created again: the window must not outlive its record.
	deleteBucket(t, proxy.S3(), one)
	s3test.MakeBucket(t, proxy.S3(), one)
	s3test.RoundTrip(t, proxy.S3(), one, 1000)
	if n := s3test.Records(t, store.S3(), one); n != 1 {
		t.Errorf("%d records in the recreated bucket %s, want one", n, one)
	}
}

// deleteBucket deletes a bucket that holds only the object of RoundTrip.
func deleteBucket(t *testing.T, at lab.S3, bucket string) {
	t.Helper()
	client := s3test.SDK(t, at)
	if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &bucket, Key: aws.String("k")}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
}
