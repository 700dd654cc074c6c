package objects

import (
	"context"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// outcome is what happened to one key at each step. Equal outcomes have equal strings.
type outcome map[string]string

// tryKey does with one key, in an empty bucket, what clients do.
func tryKey(t *testing.T, at lab.S3, bucket, key string, body []byte) outcome {
	client := s3test.SDKClient{Client: s3test.SDK(t, at), Bucket: bucket}
	ctx := t.Context()
	result := outcome{}
	note := func(step string, err error, value any) {
		if err != nil {
			result[step] = fmt.Sprintf("refused with %d", client.Status(err))
			if client.Status(err) == 0 {
				result[step] = "failed"
			}
			return
		}
		result[step] = fmt.Sprint(value)
	}
	note("put", client.Put(ctx, key, body, map[string]string{"colour": "blue"}), "done")
	got, err := client.Get(ctx, key, "")
	note("get", err, string(got))
	if len(body) > 0 {
		got, err = client.Get(ctx, key, "bytes=1-2")
		note("range", err, string(got))
	}
	size, meta, _, err := client.Head(ctx, key)
	note("head", err, fmt.Sprint(size, meta))
	for _, encoding := range []string{"", "url"} {
		for _, list := range []string{"list-type=2", ""} {
			query := strings.Trim(list+s3test.IfAny("&encoding-type=", encoding), "&")
			a := s3test.Call{Method: http.MethodGet, Path: "/" + bucket, Query: query}.Do(t, at)
			note("list "+query, a.Err, listed(a))
		}
	}
	note("delete", client.Remove(ctx, key), "done")
	_, _, _, err = client.Head(ctx, key)
	note("head after delete", err, "there")
	emptyBucket(ctx, client)
	return result
}

// listed is how a listing shows keys and sizes to a client that can read it.
func listed(a s3test.Answer) string {
	if a.Status != http.StatusOK {
		return a.String()
	}
	var list struct {
		EncodingType string
		Contents     []struct {
			Key  string
			Size int64
		}
		CommonPrefixes []struct{ Prefix string }
	}
	if err := xml.Unmarshal(a.Body, &list); err != nil {
		return unreadable // S3, too, writes characters that XML 1.0 does not allow
	}
	decode := func(s string) string {
		if list.EncodingType == "url" {
			s, _ = url.QueryUnescape(s)
		}
		return s
	}
	var b strings.Builder
	for _, c := range list.Contents {
		fmt.Fprintf(&b, "%q %d ", decode(c.Key), c.Size)
	}
	for _, p := range list.CommonPrefixes {
		fmt.Fprintf(&b, "%q ", decode(p.Prefix))
	}
	return b.String()
}

const unreadable = "unreadable"

func emptyBucket(ctx context.Context, c s3test.SDKClient) {
	out, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &c.Bucket})
	if err != nil {
		return
	}
	for _, o := range out.Contents {
		c.Remove(ctx, *o.Key)
	}
}

// What works directly on a store must work through the proxy, with the same results. The store
// decides which of the odd keys it keeps, and how.
func TestOddKeysBehaveAsOnTheStoreItself(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		store := at.Store
		if store == nil { // versitygw has the same backend as the embedded store
			store = lab.SharedVersitygw(t)
		}
		through, onStore := s3test.NewBucket(t, at.S3), s3test.NewBucket(t, store.S3())
		for _, key := range s3test.OddKeys {
			for _, body := range []string{"the body of an odd key", ""} {
				want := tryKey(t, store.S3(), onStore, key, []byte(body))
				got := tryKey(t, at.S3, through, key, []byte(body))
				for _, step := range slices.Sorted(maps.Keys(want)) {
					if strings.HasPrefix(want[step], "refused") || want[step] == "failed" {
						if strings.HasPrefix(got[step], "refused with 5") || !strings.HasPrefix(got[step], "refused") && got[step] != "failed" && want["put"] != "done" {
							t.Errorf("key %.40q with %d bytes, %s: %.200s; the store: %s", key, len(body), step, got[step], want[step])
						}
						continue
					}
					if got[step] != want[step] && want[step] != unreadable {
						t.Errorf("key %.40q with %d bytes, %s: %.200s; the store: %.200s", key, len(body), step, got[step], want[step])
					}
				}
			}
		}
	})
}

// A zero-byte object whose key ends in "/" is a folder to posix-like stores, which refuse a body
// there.
func TestFoldersAreZeroByteObjects(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		client := s3test.SDKClient{Client: s3test.SDK(t, at.S3), Bucket: s3test.NewBucket(t, at.S3)}
		ctx := t.Context()
		meta := map[string]string{"colour": "blue"}
		if err := client.Put(ctx, "folder/", nil, meta); err != nil {
			t.Fatal(err)
		}
		if err := client.Put(ctx, "folder/file", []byte("x"), nil); err != nil {
			t.Fatal(err)
		}
		size, got, _, err := client.Head(ctx, "folder/")
		if err != nil || size != 0 || !maps.Equal(got, meta) {
			t.Errorf("head: %d %v %v", size, got, err)
		}
		if body, err := client.Get(ctx, "folder/", ""); err != nil || len(body) != 0 {
			t.Errorf("get: %d bytes, %v", len(body), err)
		}
		found, _, err := client.List(ctx, true, "folder/", "")
		if err != nil || !maps.Equal(found, map[string]int64{"folder/": 0, "folder/file": 1}) {
			t.Errorf("list: %v %v", found, err)
		}
	})
}

// The client pages by two, over keys that sort in odd ways.
func TestPagesOfTwoGiveEveryKeyOnce(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		client := s3test.SDKClient{Client: s3test.SDK(t, at.S3), Bucket: s3test.NewBucket(t, at.S3)}
		want := map[string]int64{}
		for n, key := range []string{"a", "a b", "a+b", "a-b", "a.b", "a/b", "a/b/c", "a0", "é", "日本", "z%", "z&<", "~"} {
			if key == "a" || key == "a/b" {
				continue // posix-like stores cannot have a file and a folder with the same name
			}
			if err := client.Put(t.Context(), key, s3test.Content(1, n*40_000), nil); err != nil {
				t.Fatalf("put %q: %v", key, err)
			}
			want[key] = int64(n * 40_000)
		}
		for _, v2 := range []bool{false, true} {
			got, _, err := client.List(t.Context(), v2, "", "")
			if err != nil || !maps.Equal(got, want) {
				t.Errorf("v2 %v: %v, want %v (%v)", v2, got, want, err)
			}
		}
	})
}
