package multipart

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// uploadPages visits the pages of uploads, following S3's markers.
func uploadPages(t *testing.T, at lab.S3, in *s3.ListMultipartUploadsInput, visit func([]types.MultipartUpload)) {
	t.Helper()
	client := s3test.SDK(t, at)
	for range 500 {
		page, err := client.ListMultipartUploads(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if most := aws.ToInt32(page.MaxUploads); len(page.Uploads) > int(most) || most > 1000 {
			t.Errorf("a page of %d has %d uploads", most, len(page.Uploads))
		}
		visit(page.Uploads)
		if !aws.ToBool(page.IsTruncated) {
			return
		}
		in.KeyMarker, in.UploadIdMarker = page.NextKeyMarker, page.NextUploadIdMarker
	}
	t.Fatal("the pages do not end")
}

func TestUploadsAreListedInPagesAlthoughMinIOReturnsAllAtOnce(t *testing.T) {
	t.Parallel()
	at := lab.Open(t, lab.OnMinIO)
	list := func(bucket string, most *int32) (got []string) {
		uploadPages(t, at.S3, &s3.ListMultipartUploadsInput{Bucket: &bucket, MaxUploads: most}, func(page []types.MultipartUpload) {
			for _, u := range page {
				got = append(got, *u.Key+" "+*u.UploadId)
			}
		})
		return got
	}
	many := s3test.NewBucket(t, at.S3)
	begun := append(s3test.BeginUploads(t, at.Store.S3(), many, 340, 3), s3test.BeginUploads(t, at.S3, many, 10, 2)...)
	slices.Sort(begun)
	if got := list(many, nil); !slices.Equal(got, begun) {
		t.Errorf("%d of %d uploads are listed, or not ordered by key and id", len(got), len(begun))
	}
	few := s3test.NewBucket(t, at.S3)
	begun = s3test.BeginUploads(t, at.S3, few, 5, 5)
	for _, most := range []int32{1, 3, 24, 25, 26} {
		got := list(few, &most)
		slices.Sort(got) // a single page is in the store's order
		if !slices.Equal(got, begun) {
			t.Errorf("in pages of %d: %q, want %q", most, got, begun)
		}
	}
	key, most := "k0002", int32(2)
	var got []string
	uploadPages(t, at.S3, &s3.ListMultipartUploadsInput{Bucket: &few, Prefix: &key, MaxUploads: &most}, func(page []types.MultipartUpload) {
		for _, u := range page {
			got = append(got, *u.Key+" "+*u.UploadId)
		}
	})
	slices.Sort(got)
	if want := slices.DeleteFunc(slices.Clone(begun), func(u string) bool { return !strings.HasPrefix(u, key) }); !slices.Equal(got, want) {
		t.Errorf("of one key: %q, want %q", got, want)
	}
	// As cleaners do: abort the uploads of a page before asking for the next page.
	client := s3test.SDK(t, at.S3)
	most = 4
	uploadPages(t, at.S3, &s3.ListMultipartUploadsInput{Bucket: &few, MaxUploads: &most}, func(page []types.MultipartUpload) {
		for _, u := range page {
			if _, err := client.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{Bucket: &few, Key: u.Key, UploadId: u.UploadId}); err != nil {
				t.Error(err)
			}
		}
	})
	if left := list(few, nil); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestAnUploadWhoseStateCannotBeOpenedIsListedWithoutItsChecksum(t *testing.T) {
	lab.OnThese(t, []string{lab.OnVersitygw, lab.OnMinIO}, func(t *testing.T, at lab.Target) {
		if lab.Direct {
			t.Skip("there is no proxy")
		}
		first := lab.Proxy(t, lab.ProxyOptions{Upstream: at.Store})
		at.S3 = first.S3()
		bucket := s3test.NewBucket(t, at.S3)
		other := lab.Proxy(t, lab.ProxyOptions{Upstream: at.Store}) // has another key
		strange := s3test.BeginUploads(t, other.S3(), bucket, 1, 1)
		begun := s3test.BeginUploads(t, at.S3, bucket, 1, 1)
		store := s3test.SDK(t, at.Store.S3())
		for _, state := range []string{"{", "{}"} {
			damaged := s3test.BeginUploads(t, at.S3, bucket, 1, 1)
			for _, key := range s3test.KeysOf(t, at.Store.S3(), bucket, ".s3proxy/uploads/") {
				body, err := store.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
				if err != nil {
					t.Fatal(err)
				}
				text := make([]byte, 4096)
				n, _ := body.Body.Read(text)
				body.Body.Close()
				_, id, _ := strings.Cut(damaged[0], " ")
				if strings.Contains(string(text[:n]), id) {
					if _, err := store.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(state)}); err != nil {
						t.Fatal(err)
					}
				}
			}
			strange = append(strange, damaged...)
		}
		fresh := lab.Proxy(t, lab.ProxyOptions{Upstream: at.Store, DataDir: first.DataDir}) // has an empty cache
		out, err := s3test.SDK(t, fresh.S3()).ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &bucket})
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range out.Uploads {
			name := *u.Key + " " + *u.UploadId
			if known := slices.Contains(begun, name); known != (u.ChecksumAlgorithm == types.ChecksumAlgorithmCrc32c) || known == slices.Contains(strange, name) {
				t.Errorf("%s is listed with the checksum %q", name, u.ChecksumAlgorithm)
			}
		}
		if len(out.Uploads) != 4 {
			t.Errorf("%d of 4 uploads are listed", len(out.Uploads))
		}
	})
}

// MinIO lists the uploads of one key by age, after a marker: none may be lost between pages.
func TestAllUploadsOfOneKeyAreListed(t *testing.T) {
	at := lab.Open(t, lab.OnMinIO)
	client, bucket, key := s3test.SDK(t, at.S3), s3test.NewBucket(t, at.S3), "k"
	const uploads = 1100
	begun := make(chan error, uploads)
	for range 8 {
		go func() {
			for range uploads / 8 {
				_, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key})
				begun <- err
			}
		}()
	}
	for range uploads / 8 * 8 {
		if err := <-begun; err != nil {
			t.Fatal(err)
		}
	}
	for _, size := range []*int32{nil, aws.Int32(300)} {
		listed := map[string]bool{}
		for p := s3.NewListMultipartUploadsPaginator(client, &s3.ListMultipartUploadsInput{Bucket: &bucket, Prefix: &key, MaxUploads: size}); p.HasMorePages(); {
			page, err := p.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range page.Uploads {
				listed[*u.UploadId] = true
			}
		}
		if len(listed) != uploads/8*8 {
			t.Errorf("%d of %d uploads are listed, by pages of %v", len(listed), uploads/8*8, aws.ToInt32(size))
		}
	}
}
