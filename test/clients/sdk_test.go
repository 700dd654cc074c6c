package clients

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// Sizes about the segment's, of many segments, over the 1 MiB that the proxy
// holds whole, and large.
var (
	sizes = []int{0, 1, 65535, 65536, 65537, 1_000_003, 6_000_000}
)

func TestAWSSDKForGoWorks(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := s3test.NewBucket(t, at.S3)
		testGoClient(t, s3test.SDKClient{Client: s3test.SDK(t, at.S3), Bucket: bucket})
	})
}

func TestMinioGoWorks(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		testGoClient(t, s3test.NewMinioClient(t, at.S3, s3test.NewBucket(t, at.S3)))
	})
}

func testGoClient(t *testing.T, c s3test.GoClient) {
	ctx := t.Context()
	meta := map[string]string{"colour": "blue", "long": strings.Repeat("x", 500)}
	want := map[string]int64{}
	large := s3test.LargeSize
	if testing.Short() {
		large /= 5
	}
	for _, size := range append(slices.Clone(sizes), large) {
		key := fmt.Sprintf("dir/%d", size)
		body := s3test.Content(uint64(size), size)
		if err := c.Put(ctx, key, body, meta); err != nil {
			t.Fatalf("put of %d bytes: %v", size, err)
		}
		want[key] = int64(size)
		got, err := c.Get(ctx, key, "")
		if err == nil {
			err = s3test.SameBytes(got, body)
		}
		if err != nil {
			t.Errorf("get of %d bytes: %v", size, err)
		}
		headSize, headMeta, etag, err := c.Head(ctx, key)
		if err != nil || headSize != int64(size) || !maps.Equal(headMeta, meta) || etag == "" {
			t.Errorf("head of %d bytes: size %d, metadata %v, ETag %q, %v", size, headSize, headMeta, etag, err)
		}
		testRanges(t, c, key, body)
	}
	if err := c.Put(ctx, "top", []byte("x"), nil); err != nil {
		t.Fatal(err)
	}
	for _, v2 := range []bool{false, true} {
		got, _, err := c.List(ctx, v2, "dir/", "")
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("list (v2 %v) gives %v, want %v (%v)", v2, got, want, err)
		}
		got, prefixes, err := c.List(ctx, v2, "", "/")
		if err != nil || !maps.Equal(got, map[string]int64{"top": 1}) || !slices.Equal(prefixes, []string{"dir/"}) {
			t.Errorf("list with a delimiter (v2 %v) gives %v and %v (%v)", v2, got, prefixes, err)
		}
	}
	if err := c.Remove(ctx, "top"); err != nil {
		t.Errorf("delete: %v", err)
	}
	if _, _, _, err := c.Head(ctx, "top"); c.Status(err) != http.StatusNotFound {
		t.Errorf("head of what was deleted: %v", err)
	}
	if err := c.RemoveAll(ctx, slices.Collect(maps.Keys(want))); err != nil {
		t.Errorf("delete of several: %v", err)
	}
	if got, _, err := c.List(ctx, true, "", ""); err != nil || len(got) != 0 {
		t.Errorf("after all is deleted the list gives %v (%v)", got, err)
	}
}

func testRanges(t *testing.T, c s3test.GoClient, key string, body []byte) {
	t.Helper()
	size := len(body)
	good := map[string][]byte{}
	if size > 0 {
		good["bytes=0-0"] = body[:1]
		good["bytes=-1"] = body[size-1:]
		good["bytes=0-"] = body
		good[fmt.Sprintf("bytes=0-%d", size+1000)] = body
		good[fmt.Sprintf("bytes=-%d", size+1000)] = body
		good[fmt.Sprintf("bytes=%d-", size-1)] = body[size-1:]
		good[fmt.Sprintf("bytes=%d-%d", size/3, size/2)] = body[size/3 : size/2+1]
	}
	if size > 65537 {
		good["bytes=65535-65536"] = body[65535:65537]
		good["bytes=65536-65536"] = body[65536:65537]
	}
	for r, want := range good {
		got, err := c.Get(t.Context(), key, r)
		if err == nil {
			err = s3test.SameBytes(got, want)
		}
		if err != nil {
			t.Errorf("range %s of %d bytes: %v", r, size, err)
		}
	}
	bad := []string{fmt.Sprintf("bytes=%d-", size), fmt.Sprintf("bytes=%d-%d", size+5, size+9)}
	if size > 0 {
		bad = append(bad, "bytes=-0")
	}
	for _, r := range bad {
		if _, err := c.Get(t.Context(), key, r); c.Status(err) != http.StatusRequestedRangeNotSatisfiable {
			t.Errorf("range %s of %d bytes: %v, want 416", r, size, err)
		}
	}
}
