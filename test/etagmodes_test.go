package test

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
)

// bothModes gives two proxies with the same keys before the same store: a bucket
// whose mode is switched.
func bothModes(t *testing.T, at lab.Target) map[string]lab.S3 {
	t.Helper()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	first := lab.Proxy(t, lab.ProxyOptions{Upstream: at.Store, Args: []string{"--etag", lab.ModeMD5}})
	second := lab.Proxy(t, lab.ProxyOptions{Upstream: at.Store, DataDir: first.DataDir, Args: []string{"--etag", lab.ModeOpaque}})
	return map[string]lab.S3{lab.ModeMD5: first.S3(), lab.ModeOpaque: second.S3()}
}

// TestListingsAreExact writes random objects in every way and compares what LIST,
// HEAD and GET tell of each, in both modes.
func TestListingsAreExact(t *testing.T) {
	lab.OnThese(t, []string{lab.OnVersitygw, lab.OnMinIO}, func(t *testing.T, at lab.Target) {
		modes := bothModes(t, at)
		bucket := newBucket(t, modes[lab.ModeMD5])
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		type written struct {
			body []byte
			md5  string // the ETag in mode md5; "" for one that nobody knows
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
			body := content(seed+uint64(i), size)
			key := fmt.Sprintf("%c/é %d&", 'a'+i%3, i)
			w := written{body: body, md5: md5ETag(body)}
			mode := lab.ModeMD5
			switch {
			case i%10 == 9:
				mode = lab.ModeOpaque
			case i == 2 || i == 20:
				key, w.body, w.md5 = fmt.Sprintf("folder%d/", i), nil, md5ETag(nil)
			}
			if mode == lab.ModeOpaque {
				w.md5 = ""
			}
			if i == 4 || i == 31 || i == 49 { // in parts
				client := sdk(t, modes[mode])
				m := newMultipart(t, client, bucket, key)
				first := content(seed^uint64(i), 5<<20+random.IntN(100_000))
				one, two := m.send(client, 2, first), m.send(client, 7, body)
				if _, err := m.complete(client, one, two); err != nil {
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
			} else if a := (call{method: "PUT", path: "/" + bucket + "/" + escape(key, true), body: w.body}).do(t, modes[mode]); a.status != 200 {
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
				head := call{method: "HEAD", path: "/" + bucket + "/" + escape(key, true)}.do(t, s3)
				get := call{method: "GET", path: "/" + bucket + "/" + escape(key, true)}.do(t, s3)
				if err := sameBytes(get.body, w.body); err != nil {
					t.Errorf("%s: %s: %v", mode, key, err)
				}
				etag := head.header.Get("ETag")
				if want := fmt.Sprintf("%s %d", etag, len(w.body)); list[key] != want || get.header.Get("ETag") != etag || head.header.Get("Content-Length") != fmt.Sprint(len(w.body)) {
					t.Errorf("%s: %s: listed %s, HEAD %s, GET %s, %d bytes", mode, key, list[key], etag, get.header.Get("ETag"), len(w.body))
				}
				switch known := mode == lab.ModeMD5 && w.md5 != ""; {
				case known && etag != w.md5:
					t.Errorf("%s: %s of %d bytes: ETag %s, want %s", mode, key, len(w.body), etag, w.md5)
				case !known && len(strings.Trim(etag, `"`)) == 32:
					t.Errorf("%s: %s: ETag %s could be taken for an MD5", mode, key, etag)
				case known == (head.header.Get("x-amz-server-side-encryption") == "aws:kms"):
					t.Errorf("%s: %s: ETag %s with encryption %q", mode, key, etag, head.header.Get("x-amz-server-side-encryption"))
				}
			}
		}
	})
}

func TestABucketWhoseModeWasSwitchedTakesTheETagsOfBothModesInConditions(t *testing.T) {
	lab.OnThese(t, []string{lab.OnVersitygw, lab.OnMinIO}, func(t *testing.T, at lab.Target) {
		modes := bothModes(t, at)
		bucket := newBucket(t, modes[lab.ModeMD5])
		for writer, from := range modes {
			for _, size := range []int{10, 1<<20 + 10} {
				path := fmt.Sprintf("/%s/%s-%d", bucket, writer, size)
				if a := (call{method: "PUT", path: path, body: content(1, size)}).do(t, from); a.status != 200 {
					t.Fatal(a)
				}
				etag := call{method: "HEAD", path: path}.do(t, modes[lab.ModeOpaque]).header.Get("ETag")
				for reader, to := range modes {
					a := call{method: "GET", path: path, headers: map[string]string{"if-match": etag}}.do(t, to)
					if err := sameBytes(a.body, content(1, size)); a.status != 200 || err != nil {
						t.Errorf("written in mode %s, read in mode %s by the opaque ETag: %v, %v", writer, reader, a, err)
					}
				}
				now := call{method: "HEAD", path: path}.do(t, modes[lab.ModeMD5]).header.Get("ETag")
				if a := (call{method: "PUT", path: path, body: []byte("new"), headers: map[string]string{"if-match": now}}).do(t, modes[lab.ModeMD5]); a.status != 200 {
					t.Errorf("written in mode %s, replaced in mode md5: %v", writer, a)
				}
			}
		}
	})
}

// TestNoUpdateIsLostInModeMD5 counts: each writer reads the number and writes the
// next one with If-Match, and begins again when it is refused.
func TestNoUpdateIsLostInModeMD5(t *testing.T) {
	lab.TakesLong(t)
	lab.OnThese(t, []string{lab.OnVersitygw, lab.OnMinIO}, func(t *testing.T, at lab.Target) {
		at = lab.OpenMode(t, at.Name, lab.ModeMD5)
		bucket := newBucket(t, at.S3)
		for _, c := range []struct{ size, each int }{{10, 6}, {1<<20 + 10, 2}} { // held, and streamed
			path := fmt.Sprintf("/%s/%d", bucket, c.size)
			number := func(n int) []byte {
				text := strconv.Itoa(n)
				return append(bytes.Repeat([]byte(" "), c.size-len(text)), text...)
			}
			if a := (call{method: "PUT", path: path, body: number(0)}).do(t, at.S3); a.status != 200 {
				t.Fatal(a)
			}
			const writers = 8
			var refused atomic.Int64
			var all sync.WaitGroup
			for range writers {
				all.Go(func() {
					for done := 0; done < c.each; {
						now := call{method: "GET", path: path}.do(t, at.S3)
						n, err := strconv.Atoi(string(bytes.TrimSpace(now.body)))
						if now.status != 200 || err != nil {
							t.Errorf("GET: %v, %v", now, err)
							return
						}
						if got := now.header.Get("ETag"); got != md5ETag(now.body) {
							t.Errorf("GET gives the ETag %s, not that of its bytes", got)
						}
						switch a := (call{method: "PUT", path: path, body: number(n + 1), headers: map[string]string{"if-match": now.header.Get("ETag")}}).do(t, at.S3); a.status {
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
			got := call{method: "GET", path: path}.do(t, at.S3)
			if want := number(writers * c.each); !bytes.Equal(got.body, want) {
				t.Errorf("%d bytes: the count ends with …%s, want …%s", c.size, got.body[len(got.body)-10:], want[len(want)-10:])
			}
			if refused.Load() == 0 {
				t.Error("no writer met another one")
			}
			t.Logf("%d bytes: %d writes were refused and begun again", c.size, refused.Load())
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
			client, bucket := sdk(t, proxy.S3()), newBucket(t, proxy.S3())
			var want []string
			for i, status := range []types.BucketVersioningStatus{"", types.BucketVersioningStatusEnabled, types.BucketVersioningStatusEnabled, types.BucketVersioningStatusSuspended} {
				if status != "" {
					if _, err := client.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: &bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: status}}); err != nil {
						t.Fatal(err)
					}
				}
				body := content(uint64(i), 1000+i*(1<<20)) // the later ones are streamed
				if a := (call{method: "PUT", path: "/" + bucket + "/k", body: body}).do(t, proxy.S3()); a.status != 200 {
					t.Fatal(a)
				}
				if status == types.BucketVersioningStatusSuspended {
					want = want[:len(want)-1] // it takes the place of the one before versioning
				}
				want = append([]string{fmt.Sprintf("%s %d", md5ETag(body), len(body))}, want...)
			}
			for range 2 { // asked, and out of the cache
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
						t.Errorf("GET of version %s gives ETag %s, listed is %s", *v.VersionId, *get.ETag, *v.ETag)
					}
				}
				if !slices.Equal(got, want) {
					t.Errorf("versions are listed as %q, want %q", got, want)
				}
			}
		})
	}
}
