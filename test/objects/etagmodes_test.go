package objects

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// bothModes returns two proxies with the same keys in front of the same store, as if a bucket's
// mode were switched.
func bothModes(t *testing.T, at lab.Target) map[string]lab.S3 {
	t.Helper()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	first := lab.Proxy(t, lab.ProxyOptions{Upstream: at.Store, Args: []string{"--etag", lab.ModeMD5}})
	second := lab.Proxy(t, lab.ProxyOptions{Upstream: at.Store, DataDir: first.DataDir, Args: []string{"--etag", lab.ModeOpaque}})
	return map[string]lab.S3{lab.ModeMD5: first.S3(), lab.ModeOpaque: second.S3()}
}

// TestListingsAreExact writes random objects in every way, and compares LIST, HEAD and GET of each,
// in both modes.
func TestListingsAreExact(t *testing.T) {
	lab.OnThese(t, []string{lab.OnVersitygw, lab.OnMinIO}, func(t *testing.T, at lab.Target) {
		modes := bothModes(t, at)
		bucket := s3test.NewBucket(t, modes[lab.ModeMD5])
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		type written struct {
			body []byte
			md5  string // the ETag in mode md5; "" if nobody knows it
		}
		objects := map[string]written{}
		for i := range 60 {
			size := random.IntN(200_000)
			switch i % 6 {
			case 0:
				size = []int{0, 1, 65535, 65536, 65537, 131072, 1 << 20, 1<<20 + 1, 2_000_000, 3}[i/6]
			case 1:
				size = 1<<20 + 1 + random.IntN(1<<20) // streamed
			}
			body := s3test.Content(seed+uint64(i), size)
			key := fmt.Sprintf("%c/é %d&", 'a'+i%3, i)
			w := written{body: body, md5: s3test.MD5ETag(body)}
			mode := lab.ModeMD5
			switch {
			case i%10 == 9:
				mode = lab.ModeOpaque
			case i == 2 || i == 20:
				key, w.body, w.md5 = fmt.Sprintf("folder%d/", i), nil, s3test.MD5ETag(nil)
			}
			if mode == lab.ModeOpaque {
				w.md5 = ""
			}
			if i == 4 || i == 31 || i == 49 { // multipart
				client := s3test.SDK(t, modes[mode])
				m := s3test.Begin(t, client, bucket, key)
				first := s3test.Content(seed^uint64(i), 5<<20+random.IntN(100_000))
				one, two := m.Send(client, 2, first), m.Send(client, 7, body)
				if _, err := m.Complete(client, one, two); err != nil {
					t.Fatal(err)
				}
				sums := md5.New()
				for _, part := range [][]byte{first, body} {
					sum := md5.Sum(part)
					sums.Write(sum[:])
				}
				w.body = append(first, body...)
				if w.md5 != "" {
					w.md5 = fmt.Sprintf(`"%x-2"`, sums.Sum(nil))
				}
			} else if a := (s3test.Call{Method: "PUT", Path: "/" + bucket + "/" + s3test.Escape(key, true), Body: w.body}).Do(t, modes[mode]); a.Status != 200 {
				t.Fatalf("%s: %v", key, a)
			}
			objects[key] = w
		}
		for mode, s3 := range modes {
			list := listedETags(t, s3, bucket)
			if len(list) != len(objects) {
				t.Errorf("%s: %d objects are listed, want %d", mode, len(list), len(objects))
			}
			for key, w := range objects {
				head := s3test.Call{Method: "HEAD", Path: "/" + bucket + "/" + s3test.Escape(key, true)}.Do(t, s3)
				get := s3test.Call{Method: "GET", Path: "/" + bucket + "/" + s3test.Escape(key, true)}.Do(t, s3)
				if err := s3test.SameBytes(get.Body, w.body); err != nil {
					t.Errorf("%s: %s: %v", mode, key, err)
				}
				etag := head.Header.Get("ETag")
				if want := fmt.Sprintf("%s %d", etag, len(w.body)); list[key] != want || get.Header.Get("ETag") != etag || head.Header.Get("Content-Length") != fmt.Sprint(len(w.body)) {
					t.Errorf("%s: %s: listed %s, HEAD %s, GET %s, %d bytes", mode, key, list[key], etag, get.Header.Get("ETag"), len(w.body))
				}
				switch known := mode == lab.ModeMD5 && w.md5 != ""; {
				case known && etag != w.md5:
					t.Errorf("%s: %s of %d bytes: ETag %s, want %s", mode, key, len(w.body), etag, w.md5)
				case !known && len(strings.Trim(etag, `"`)) == 32:
					t.Errorf("%s: %s: ETag %s could be taken for an MD5", mode, key, etag)
				case known == (head.Header.Get("x-amz-server-side-encryption") == "aws:kms"):
					t.Errorf("%s: %s: ETag %s with encryption %q", mode, key, etag, head.Header.Get("x-amz-server-side-encryption"))
				}
			}
		}
	})
}

func TestABucketWhoseModeWasSwitchedTakesTheETagsOfBothModesInConditions(t *testing.T) {
	lab.OnThese(t, []string{lab.OnVersitygw, lab.OnMinIO}, func(t *testing.T, at lab.Target) {
		modes := bothModes(t, at)
		bucket := s3test.NewBucket(t, modes[lab.ModeMD5])
		for writer, from := range modes {
			for _, size := range []int{10, 1<<20 + 10} {
				path := fmt.Sprintf("/%s/%s-%d", bucket, writer, size)
				if a := (s3test.Call{Method: "PUT", Path: path, Body: s3test.Content(1, size)}).Do(t, from); a.Status != 200 {
					t.Fatal(a)
				}
				etag := s3test.Call{Method: "HEAD", Path: path}.Do(t, modes[lab.ModeOpaque]).Header.Get("ETag")
				for reader, to := range modes {
					a := s3test.Call{Method: "GET", Path: path, Headers: map[string]string{"if-match": etag}}.Do(t, to)
					if err := s3test.SameBytes(a.Body, s3test.Content(1, size)); a.Status != 200 || err != nil {
						t.Errorf("written in mode %s, read in mode %s by the opaque ETag: %v, %v", writer, reader, a, err)
					}
				}
				now := s3test.Call{Method: "HEAD", Path: path}.Do(t, modes[lab.ModeMD5]).Header.Get("ETag")
				if a := (s3test.Call{Method: "PUT", Path: path, Body: []byte("new"), Headers: map[string]string{"if-match": now}}).Do(t, modes[lab.ModeMD5]); a.Status != 200 {
					t.Errorf("written in mode %s, replaced in mode md5: %v", writer, a)
				}
			}
		}
	})
}

// TestNoUpdateIsLostInModeMD5 counts: each writer reads the number, writes the next one with
// If-Match, and starts over when that is refused.
func TestNoUpdateIsLostInModeMD5(t *testing.T) {
	lab.TakesLong(t)
	lab.OnThese(t, []string{lab.OnVersitygw, lab.OnMinIO}, func(t *testing.T, at lab.Target) {
		at = lab.OpenMode(t, at.Name, lab.ModeMD5)
		bucket := s3test.NewBucket(t, at.S3)
		for _, c := range []struct{ size, each int }{{10, 6}, {1<<20 + 10, 2}} { // held in memory, and streamed
			path := fmt.Sprintf("/%s/%d", bucket, c.size)
			number := func(n int) []byte {
				text := strconv.Itoa(n)
				return append(bytes.Repeat([]byte(" "), c.size-len(text)), text...)
			}
			if a := (s3test.Call{Method: "PUT", Path: path, Body: number(0)}).Do(t, at.S3); a.Status != 200 {
				t.Fatal(a)
			}
			const writers = 8
			var refused atomic.Int64
			var all sync.WaitGroup
			for range writers {
				all.Go(func() {
					for done := 0; done < c.each; {
						now := s3test.Call{Method: "GET", Path: path}.Do(t, at.S3)
						n, err := strconv.Atoi(string(bytes.TrimSpace(now.Body)))
						if now.Status != 200 || err != nil {
							t.Errorf("GET: %v, %v", now, err)
							return
						}
						if got := now.Header.Get("ETag"); got != s3test.MD5ETag(now.Body) {
							t.Errorf("GET returns the ETag %s, which is not that of its bytes", got)
						}
						switch a := (s3test.Call{Method: "PUT", Path: path, Body: number(n + 1), Headers: map[string]string{"if-match": now.Header.Get("ETag")}}).Do(t, at.S3); a.Status {
						case 200:
							done++
						case 409, 412:
							refused.Add(1)
						default:
							t.Errorf("PUT: %v", a)
							return
						}
					}
				})
			}
			all.Wait()
			got := s3test.Call{Method: "GET", Path: path}.Do(t, at.S3)
			if want := number(writers * c.each); !bytes.Equal(got.Body, want) {
				t.Errorf("%d bytes: the count ends with …%s, want …%s", c.size, got.Body[len(got.Body)-10:], want[len(want)-10:])
			}
			if refused.Load() == 0 {
				t.Error("no two writers met")
			}
			t.Logf("%d bytes: %d writes were refused and repeated", c.size, refused.Load())
		}
	})
}

func TestVersionsAreListedWithTheirOwnETags(t *testing.T) {
	for _, name := range []string{lab.OnVersitygw, lab.OnMinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := lab.VersitygwForSuite
			if name == lab.OnMinIO {
				store = lab.SharedMinIO
			}
			proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: store(t), Args: []string{"--etag", lab.ModeMD5}})
			client, bucket := s3test.SDK(t, proxy.S3()), s3test.NewBucket(t, proxy.S3())
			var want []string
			for i, status := range []types.BucketVersioningStatus{"", types.BucketVersioningStatusEnabled, types.BucketVersioningStatusEnabled, types.BucketVersioningStatusSuspended} {
				if status != "" {
					if _, err := client.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: &bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: status}}); err != nil {
						t.Fatal(err)
					}
				}
				body := s3test.Content(uint64(i), 1000+i*(1<<20)) // the later ones are streamed
				if a := (s3test.Call{Method: "PUT", Path: "/" + bucket + "/k", Body: body}).Do(t, proxy.S3()); a.Status != 200 {
					t.Fatal(a)
				}
				if status == types.BucketVersioningStatusSuspended {
					want = want[:len(want)-1] // it replaces the object from before versioning
				}
				want = append([]string{fmt.Sprintf("%s %d", s3test.MD5ETag(body), len(body))}, want...)
			}
			for range 2 { // from the store, then from the cache
				list, err := client.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: &bucket})
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, v := range list.Versions {
					got = append(got, fmt.Sprintf("%s %d", *v.ETag, *v.Size))
					get, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: v.Key, VersionId: v.VersionId})
					if err != nil {
						t.Fatalf("GET of version %s: %v", *v.VersionId, err)
					}
					get.Body.Close()
					if *get.ETag != *v.ETag {
						t.Errorf("GET of version %s has the ETag %s, the listing has %s", *v.VersionId, *get.ETag, *v.ETag)
					}
				}
				if !slices.Equal(got, want) {
					t.Errorf("versions are listed as %q, want %q", got, want)
				}
			}
		})
	}
}
