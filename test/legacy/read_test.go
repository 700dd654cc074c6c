package legacy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// onOld runs a test on each real store, in both ETag modes.
func onOld(t *testing.T, test func(t *testing.T, store *lab.Store, mode string)) {
	if lab.Direct {
		t.Skip("stores do not decrypt")
	}
	for _, mode := range []string{lab.ModeOpaque, lab.ModeMD5} {
		for _, name := range lab.RealStores {
			t.Run(mode+"/"+name, func(t *testing.T) {
				t.Parallel()
				test(t, lab.SharedStore(t, name), mode)
			})
		}
	}
}

func TestOldObjectsOfEachKeyAndSizeAreReadRangedAndListed(t *testing.T) {
	onOld(t, func(t *testing.T, store *lab.Store, mode string) {
		all := goldens(t)
		for _, key := range sorted(all) {
			o := newOldBucket(t, store, key, "etag: "+mode)
			for _, g := range all[key] {
				o.put(t, g.File, g.Stored)
			}
			p := o.proxy(t)
			// Beside them, plaintext of that time and objects of ours.
			s3test.MustPut(t, store.S3(), o.path("plain"), plaintext(444)) // a size that format 1 has
			s3test.MustPut(t, p.S3(), o.path("ours"), plaintext(1000))
			want := map[string][]byte{"plain": plaintext(444), "ours": plaintext(1000)}
			for _, g := range all[key] {
				want[g.File] = plaintext(g.Size)
			}
			for name, plain := range want {
				readsOld(t, p, o, mode, name, plain)
			}
			for range 2 { // the second time from the cache
				listsOld(t, p, o, mode, want)
			}
		}
	})
}

// readsOld reads an object in all the ways that there are.
func readsOld(t *testing.T, p *lab.ProxyProcess, o *oldBucket, mode, key string, want []byte) {
	t.Helper()
	get := func(method, query string, headers ...string) s3test.Answer {
		t.Helper()
		c := s3test.Call{Method: method, Path: o.path(key), Query: query, Headers: map[string]string{}}
		for i := 0; i < len(headers); i += 2 {
			c.Headers[headers[i]] = headers[i+1]
		}
		return c.Do(t, p.S3())
	}
	whole := get("GET", "")
	if whole.Status != 200 || whole.Err != nil || s3test.SameBytes(whole.Body, want) != nil {
		t.Fatalf("%s: %v", key, whole)
	}
	tag := whole.Header.Get("Etag")
	if isMD5 := tag == s3test.MD5ETag(want); isMD5 != (mode == lab.ModeMD5) {
		t.Errorf("%s: the ETag is %s, the MD5 %s", key, tag, s3test.MD5ETag(want))
	}
	for name := range whole.Header {
		if strings.EqualFold(name, "x-amz-meta-"+oldHeader) {
			t.Errorf("%s: the client is shown %s", key, name)
		}
	}
	head := get("HEAD", "")
	if head.Status != 200 || head.Header.Get("Content-Length") != fmt.Sprint(len(want)) || head.Header.Get("Etag") != tag {
		t.Errorf("%s: HEAD: %v %v", key, head, head.Header)
	}
	n := len(want)
	for _, r := range [][2]int{{0, 0}, {0, n - 1}, {1, 15}, {15, 16}, {16, 40}, {n / 2, n/2 + 100}, {n - 1, n + 100}, {65535, 65536}} {
		spec := fmt.Sprintf("bytes=%d-%d", r[0], r[1])
		a := get("GET", "", "range", spec)
		if r[0] >= n || r[0] < 0 || r[1] < r[0] {
			if r[1] >= r[0] && r[0] >= 0 && (a.Status != 416 || a.Code != "InvalidRange") {
				t.Errorf("%s: %s: %v", key, spec, a)
			}
			continue
		}
		end := min(r[1]+1, n)
		if a.Status != 206 || a.Err != nil || s3test.SameBytes(a.Body, want[r[0]:end]) != nil || a.Header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/%d", r[0], end-1, n) {
			t.Errorf("%s: %s: %v %v", key, spec, a, a.Header)
		}
	}
	if a := get("GET", "", "range", "bytes=-7"); n >= 7 && s3test.SameBytes(a.Body, want[n-7:]) != nil {
		t.Errorf("%s: a suffix: %v", key, a)
	}
	if a := get("GET", "", "range", "bytes=3-"); n > 3 && s3test.SameBytes(a.Body, want[3:]) != nil {
		t.Errorf("%s: from an offset: %v", key, a)
	}
	if a := get("GET", "partNumber=1"); s3test.SameBytes(a.Body, want) != nil {
		t.Errorf("%s: part 1: %v", key, a)
	}
	if a := get("GET", "partNumber=2"); a.Status != 416 {
		t.Errorf("%s: part 2: %v", key, a)
	}
	for condition, status := range map[[2]string]int{
		{"if-match", tag}: 200, {"if-match", `"other"`}: 412, {"if-none-match", tag}: 304, {"if-none-match", `"other"`}: 200, {"if-match", `"other", ` + tag}: 200,
		{"if-modified-since", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)}: 200, {"if-unmodified-since", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)}: 412,
	} {
		if a := get("GET", "", condition[0], condition[1]); a.Status != status || status == 200 && s3test.SameBytes(a.Body, want) != nil {
			t.Errorf("%s: %v: %v", key, condition, a)
		}
	}
	if a := get("GET", "", "range", "bytes=0-3", "if-range", tag); n > 4 && (a.Status != 206 || s3test.SameBytes(a.Body, want[:4]) != nil) {
		t.Errorf("%s: If-Range: %v", key, a)
	}
	if a := get("GET", "", "range", "bytes=0-3", "if-range", `"other"`); s3test.SameBytes(a.Body, want) != nil {
		t.Errorf("%s: If-Range of another: %v", key, a)
	}
	a := get("GET", "attributes", "x-amz-object-attributes", "ETag,ObjectSize")
	if a.Status != 200 || !strings.Contains(string(a.Body), fmt.Sprintf("<ObjectSize>%d</ObjectSize>", n)) || !strings.Contains(string(a.Body), "<ETag>"+strings.Trim(tag, `"`)+"</ETag>") {
		t.Errorf("%s: attributes: %v %s", key, a, a.Body)
	}
	if a := (s3test.Call{Method: "GET", Path: o.path(key)}).Presign(p.S3(), time.Minute).Do(t, p.S3()); s3test.SameBytes(a.Body, want) != nil {
		t.Errorf("%s: a presigned URL: %v", key, a)
	}
}

// listsOld lists the bucket in all the ways that there are.
func listsOld(t *testing.T, p *lab.ProxyProcess, o *oldBucket, mode string, want map[string][]byte) {
	t.Helper()
	client := s3test.SDK(t, p.S3())
	check := func(how string, key *string, size *int64, etag *string) {
		t.Helper()
		plain := want[*key]
		if *size != int64(len(plain)) {
			t.Errorf("%s: %s: %d bytes, not %d", how, *key, *size, len(plain))
		}
		if (*etag == s3test.MD5ETag(plain)) != (mode == lab.ModeMD5) {
			t.Errorf("%s: %s has the ETag %s", how, *key, *etag)
		}
	}
	v2, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &o.bucket})
	if err != nil || len(v2.Contents) != len(want) {
		t.Fatal(err, v2)
	}
	for _, c := range v2.Contents {
		check("V2", c.Key, c.Size, c.ETag)
	}
	v1, err := client.ListObjects(t.Context(), &s3.ListObjectsInput{Bucket: &o.bucket})
	if err != nil || len(v1.Contents) != len(want) {
		t.Fatal(err, v1)
	}
	for _, c := range v1.Contents {
		check("V1", c.Key, c.Size, c.ETag)
	}
	versions, err := client.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: &o.bucket})
	if err != nil || len(versions.Versions) != len(want) {
		t.Fatal(err, versions)
	}
	for _, v := range versions.Versions {
		check("versions", v.Key, v.Size, v.ETag)
	}
}

func TestACopyOfAnOldObjectIsOfFormat1(t *testing.T) {
	onOld(t, func(t *testing.T, store *lab.Store, mode string) {
		o := newOldBucket(t, store, testKey, "etag: "+mode)
		p := o.proxy(t)
		client := s3test.SDK(t, p.S3())
		ctx, plain := t.Context(), plaintext(6<<20)
		for _, key := range []string{"copied", "updated", "parted", "damaged"} {
			s := makeOld(t, plain).With("color", "red")
			if key == "damaged" {
				s.Body[5<<20] ^= 1
			}
			o.put(t, key, s)
		}
		source := func(key string) *string { return aws.String(o.bucket + "/" + key) }
		if _, err := client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &o.bucket, Key: aws.String("copy"), CopySource: source("copied")}); err != nil {
			t.Fatal(err)
		}
		if _, err := client.CopyObject(ctx, &s3.CopyObjectInput{
			Bucket: &o.bucket, Key: aws.String("updated"), CopySource: source("updated"), MetadataDirective: types.MetadataDirectiveReplace, Metadata: map[string]string{"color": "red"},
		}); err != nil {
			t.Fatal(err)
		}
		up := s3test.Begin(t, client, o.bucket, "parts")
		var parts []types.CompletedPart
		for i, r := range []string{"bytes=0-5242879", "bytes=5242880-6291455"} {
			part, err := client.UploadPartCopy(ctx, &s3.UploadPartCopyInput{
				Bucket: &o.bucket, Key: aws.String("parts"), UploadId: &up.ID, PartNumber: aws.Int32(int32(i + 1)), CopySource: source("parted"), CopySourceRange: aws.String(r),
			})
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, types.CompletedPart{PartNumber: aws.Int32(int32(i + 1)), ETag: part.CopyPartResult.ETag})
		}
		if _, err := up.Complete(client, parts...); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"copy", "updated", "parts"} {
			raw := s3test.RawGet(t, store.S3(), o.path(key))
			if raw.Meta["s3proxy-format"] != "1" || raw.Meta[oldHeader] != "" || key != "parts" && raw.Meta["color"] != "red" {
				t.Errorf("%s in the store: %v", key, sorted(raw.Meta))
			}
			s3test.MustRead(t, client, o.bucket, key, plain)
		}
		// One that is not what it was is not copied.
		if _, err := client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &o.bucket, Key: aws.String("copy"), CopySource: source("damaged")}); err == nil {
			t.Error("a damaged object was copied")
		}
		s3test.MustRead(t, client, o.bucket, "copy", plain)
		// Into a bucket that is not encrypted it goes as plaintext.
		open := s3test.NewBucket(t, store.S3())
		config := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--kms", o.kms, "--config", o.withBucket(t, open, "encrypt: false")}})
		if _, err := s3test.SDK(t, config.S3()).CopyObject(ctx, &s3.CopyObjectInput{Bucket: &open, Key: aws.String("copy"), CopySource: source("copied")}); err != nil {
			t.Fatal(err)
		}
		if raw := s3test.RawGet(t, store.S3(), "/"+open+"/copy"); s3test.SameBytes(raw.Body, plain) != nil || slices.Contains(sorted(raw.Meta), oldHeader) {
			t.Errorf("%d bytes, %v", len(raw.Body), sorted(raw.Meta))
		}
	})
}

func TestAnObjectThatIsMigratedDuringAListIsListedAsItIsThen(t *testing.T) {
	onOld(t, func(t *testing.T, store *lab.Store, mode string) {
		o := newOldBucket(t, store, testKey, "etag: "+mode)
		plain := plaintext(428) // stored in 444 bytes, as an empty object of ours is
		o.put(t, "object", makeOld(t, plain))
		through := lab.Count(t, store)
		var once sync.Once
		through.First = func(r *http.Request) {
			if r.Method == http.MethodHead && r.URL.Path == o.path("object") {
				once.Do(func() {
					if _, out, code := o.run(t, "encrypt-existing", "--legacy", "s3://"+o.bucket); code != 0 {
						t.Errorf("exit code %d: %s", code, out)
					}
				})
			}
		}
		p := lab.Proxy(t, lab.ProxyOptions{Upstream: store, UpstreamURL: through.URL, Args: []string{"--kms", o.kms, "--config", o.config}})
		listsOld(t, p, o, mode, map[string][]byte{"object": plain})
	})
}
