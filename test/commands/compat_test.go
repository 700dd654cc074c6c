package commands

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// compatFolder has a folder for each release whose objects every later release must read.
const compatFolder = "../compat"

// kept is what a release left in a store: all objects as stored, including state objects, and what
// a client must get for its own objects.
type kept struct {
	Objects []keptObject
	Want    []keptAnswer
	Floors  map[string]string // by bucket that went through `keys rekey`: what its settings name
}

type keptObject struct {
	Bucket, Key, File string
	Metadata          map[string]string
}

type keptAnswer struct {
	Bucket, Key, SHA256 string
	Size                int
	ETag                string `json:",omitempty"` // unless the store makes it
	Checksum            string `json:",omitempty"` // CRC32
}

// keptBuckets are the buckets of a release, with the ETag mode of each.
var keptBuckets = map[string]string{"compat-opaque": lab.ModeOpaque, "compat-md5": lab.ModeMD5, "compat-rekeyed": lab.ModeOpaque}

func TestThisBuildReadsWhatEarlierReleasesWrite(t *testing.T) {
	if lab.Direct {
		t.Skip("stores do not decrypt")
	}
	manifests, err := filepath.Glob(filepath.Join(compatFolder, "*", "manifest.json"))
	if err != nil || len(manifests) == 0 {
		t.Fatal("no release has left anything", err)
	}
	for _, manifest := range manifests {
		dir := filepath.Dir(manifest)
		t.Run(filepath.Base(dir), func(t *testing.T) { readsKept(t, dir) })
	}
}

func readsKept(t *testing.T, dir string) {
	text, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var k kept
	if err := json.Unmarshal(text, &k); err != nil {
		t.Fatal(err)
	}
	store := lab.Versitygw(t)
	made := map[string]bool{}
	for _, o := range k.Objects {
		if !made[o.Bucket] {
			made[o.Bucket] = true
			s3test.MakeBucket(t, store.S3(), o.Bucket)
		}
		body, err := os.ReadFile(filepath.Join(dir, o.File))
		if err != nil {
			t.Fatal(err)
		}
		s3test.RawPut(t, store.S3(), "/"+o.Bucket+"/"+s3test.Escape(o.Key, true), s3test.Stored{Body: body, Meta: o.Metadata})
	}
	keyset, err := os.ReadFile(filepath.Join(dir, "keyset-test-only.json"))
	if err != nil {
		t.Fatal(err)
	}
	kms := "localfile://" + lab.PrivateFile(t, string(keyset))
	settings := "buckets:\n"
	for bucket, floor := range k.Floors {
		settings += fmt.Sprintf("  %s: {floor: [%s]}\n", bucket, floor)
	}
	for _, mode := range []string{lab.ModeOpaque, lab.ModeMD5} {
		args := []string{"--kms", kms, "--etag", mode}
		if len(k.Floors) > 0 {
			args = append(args, "--config", lab.PrivateFile(t, settings))
		}
		at := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: args}).S3()
		for _, want := range k.Want {
			if keptBuckets[want.Bucket] == mode {
				t.Run(want.Bucket+"/"+want.Key, func(t *testing.T) { readsOne(t, at, want) })
			}
		}
	}
	for _, want := range k.Want {
		out := filepath.Join(t.TempDir(), "out")
		printed, code := lab.Command(t, store, "decrypt", "s3://"+want.Bucket+"/"+want.Key, "-o", out, "--kms", kms, "--upstream", store.URL)
		got, err := os.ReadFile(out)
		if code != 0 || err != nil || s3test.HexSHA256(got) != want.SHA256 {
			t.Errorf("decrypt of %s/%s: code %d, %d bytes, %v: %s", want.Bucket, want.Key, code, len(got), err, printed)
		}
	}
}

func readsOne(t *testing.T, at lab.S3, want keptAnswer) {
	path := "/" + want.Bucket + "/" + s3test.Escape(want.Key, true)
	read := s3test.Call{Method: http.MethodGet, Path: path, Headers: map[string]string{"x-amz-checksum-mode": "ENABLED"}}
	whole := read.Do(t, at)
	if whole.Status != 200 || s3test.HexSHA256(whole.Body) != want.SHA256 || want.ETag != "" && whole.Header.Get("Etag") != want.ETag || whole.Header.Get(s3test.CRCTrailer) != want.Checksum {
		t.Fatalf("GET: %v %v, want %+v", whole, whole.Header, want)
	}
	head := s3test.Call{Method: http.MethodHead, Path: path}.Do(t, at)
	if head.Status != 200 || head.Header.Get("Content-Length") != fmt.Sprint(want.Size) || want.ETag != "" && head.Header.Get("Etag") != want.ETag {
		t.Errorf("HEAD: %v %v, want %+v", head, head.Header, want)
	}
	for _, r := range [][2]int{{0, 0}, {want.Size / 2, want.Size - 1}, {65535, 65537}} {
		if r[1] >= want.Size || r[0] > r[1] {
			continue
		}
		part := s3test.Call{Method: http.MethodGet, Path: path, Headers: map[string]string{"range": fmt.Sprintf("bytes=%d-%d", r[0], r[1])}}.Do(t, at)
		if part.Status != 206 || !bytes.Equal(part.Body, whole.Body[r[0]:r[1]+1]) {
			t.Errorf("bytes %d-%d: %v", r[0], r[1], part)
		}
	}
}

// TestAReleaseLeavesItsObjects makes the folder for the release that S3PROXY_TEST_KEEP names. It
// never changes an existing folder: what was written once stays as it is.
func TestAReleaseLeavesItsObjects(t *testing.T) {
	version := os.Getenv("S3PROXY_TEST_KEEP")
	if version == "" {
		t.Skip("S3PROXY_TEST_KEEP names no release")
	}
	dir := filepath.Join(compatFolder, filepath.Base(version))
	if err := os.MkdirAll(compatFolder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err) // the folder exists
	}
	store := lab.Versitygw(t)
	uri, keyset := lab.NewKeyset(t)
	k := kept{Floors: map[string]string{}}
	for bucket, mode := range keptBuckets {
		at := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--kms", uri, "--etag", mode}}).S3()
		s3test.MakeBucket(t, at, bucket)
		k.Want = append(k.Want, keepsObjects(t, at, bucket, mode)...)
	}
	out, code := lab.Command(t, store, "keys", "rekey", "--new-version", "--settle", "0", "s3://compat-rekeyed", "--kms", uri, "--upstream", store.URL)
	if code != 0 {
		t.Fatal(out)
	}
	floor := regexp.MustCompile(`\b[0-9a-f]{32,64}\b`).FindString(out)
	if floor == "" {
		t.Fatal("no floor is named: ", out)
	}
	k.Floors["compat-rekeyed"] = floor
	for bucket := range keptBuckets {
		k.Objects = append(k.Objects, keepsStored(t, store.S3(), dir, bucket, len(k.Objects))...)
	}
	text, err := json.MarshalIndent(k, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := os.ReadFile(keyset)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"manifest.json": append(text, '\n'), "keyset-test-only.json": keys,
		"README.md": []byte("The key in `keyset-test-only.json` is public, and encrypts nothing but the objects of this folder. Never use it.\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// keepsObjects writes an object of each shape.
func keepsObjects(t *testing.T, at lab.S3, bucket, mode string) (all []keptAnswer) {
	t.Helper()
	note := func(key string, body []byte, checksum string) {
		head := s3test.Call{Method: http.MethodHead, Path: "/" + bucket + "/" + s3test.Escape(key, true)}.Do(t, at)
		a := keptAnswer{Bucket: bucket, Key: key, SHA256: s3test.HexSHA256(body), Size: len(body), Checksum: checksum}
		if mode == lab.ModeMD5 {
			a.ETag = head.Header.Get("Etag")
		}
		all = append(all, a)
	}
	for i, size := range []int{0, 1, 1000, 65536, 150_000} {
		key, body := fmt.Sprintf("single ü/%d", size), s3test.Content(uint64(i), size)
		s3test.MustPut(t, at, "/"+bucket+"/"+s3test.Escape(key, true), body)
		note(key, body, "")
	}
	body := s3test.Content(9, 5000)
	if got := (s3test.Call{Method: http.MethodPut, Path: "/" + bucket + "/checksum", Body: body, Headers: map[string]string{s3test.CRCTrailer: s3test.CRC32Of(body)}}).Do(t, at); got.Status != 200 {
		t.Fatal(got)
	}
	note("checksum", body, s3test.CRC32Of(body))
	// A single part: any part but the last has at least 5 MiB, which is too much to keep.
	key, number, client := "multipart", int32(1), s3test.SDK(t, at)
	upload, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	body = s3test.Content(10, 70_000)
	part, err := client.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: &bucket, Key: &key, UploadId: upload.UploadId, PartNumber: &number, Body: bytes.NewReader(body)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{Bucket: &bucket, Key: &key, UploadId: upload.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{ETag: part.ETag, PartNumber: &number, ChecksumCRC32: part.ChecksumCRC32}}}}); err != nil {
		t.Fatal(err)
	}
	head := s3test.Call{Method: http.MethodHead, Path: "/" + bucket + "/" + key, Headers: map[string]string{"x-amz-checksum-mode": "ENABLED"}}.Do(t, at)
	note(key, body, head.Header.Get(s3test.CRCTrailer))
	return all
}

// keepsStored copies what the store holds of a bucket.
func keepsStored(t *testing.T, store lab.S3, dir, bucket string, from int) (all []keptObject) {
	t.Helper()
	list, err := s3test.SDK(t, store).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket, EncodingType: types.EncodingTypeUrl})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Contents {
		key, err := url.QueryUnescape(*o.Key)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(key, "/") {
			continue // a folder in the store
		}
		raw := s3test.RawGet(t, store, "/"+bucket+"/"+s3test.Escape(key, true))
		file := fmt.Sprintf("object-%02d", from+len(all))
		if err := os.WriteFile(filepath.Join(dir, file), raw.Body, 0o644); err != nil {
			t.Fatal(err)
		}
		all = append(all, keptObject{Bucket: bucket, Key: key, File: file, Metadata: raw.Meta})
	}
	return all
}
