package objects

import (
	"bytes"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// sourceOf is the x-amz-copy-source for a key.
func sourceOf(bucket, key string) *string {
	return aws.String(bucket + "/" + strings.ReplaceAll((&url.URL{Path: key}).EscapedPath(), "+", "%2B"))
}

func TestACopyHasTheSourcesBytesAndWhatTheDirectivesSay(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		client, ctx := s3test.SDK(t, at.S3), t.Context()
		bucket, other := s3test.NewBucket(t, at.S3), s3test.NewBucket(t, at.S3)
		m := s3test.Begin(t, client, bucket, "multipart")
		large := [][]byte{s3test.Content(1, 5*s3test.MiB), s3test.Content(2, 70_000)}
		if _, err := m.Complete(client, m.Send(client, 1, large[0]), m.Send(client, 2, large[1])); err != nil {
			t.Fatal(err)
		}
		bodies := map[string][]byte{"multipart": append(bytes.Clone(large[0]), large[1]...), "small": s3test.Content(3, 100), "streamed + ü.bin": s3test.Content(4, 3_000_000), "nothing": nil}
		for key, body := range bodies {
			if key == "multipart" {
				continue
			}
			if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body), ContentType: aws.String("text/x-one"), CacheControl: aws.String("no-cache"), Metadata: map[string]string{"color": "red"}}); err != nil {
				t.Fatal(err)
			}
		}
		for key, body := range bodies {
			for _, to := range []string{bucket, other} {
				copied, replaced := "copies/"+key, "replaced/"+key
				out, err := client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &to, Key: &copied, CopySource: sourceOf(bucket, key)})
				if err != nil {
					t.Fatalf("copy of %s: %v", key, err)
				}
				s3test.WantObject(t, client, to, copied, body)
				head, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &to, Key: &copied})
				if err != nil || aws.ToString(head.ETag) != aws.ToString(out.CopyObjectResult.ETag) {
					t.Errorf("%s: HEAD %v: ETag %s, CopyObject gave %s", copied, err, aws.ToString(head.ETag), aws.ToString(out.CopyObjectResult.ETag))
				}
				if key != "multipart" && (head.Metadata["color"] != "red" || aws.ToString(head.ContentType) != "text/x-one" || aws.ToString(head.CacheControl) != "no-cache") {
					t.Errorf("%s: metadata %v, type %s, cache %s", copied, head.Metadata, aws.ToString(head.ContentType), aws.ToString(head.CacheControl))
				}
				if _, err := client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &to, Key: &replaced, CopySource: sourceOf(bucket, key), MetadataDirective: types.MetadataDirectiveReplace,
					ContentType: aws.String("text/x-two"), Metadata: map[string]string{"shape": "round"}}); err != nil {
					t.Fatalf("replacing copy of %s: %v", key, err)
				}
				s3test.WantObject(t, client, to, replaced, body)
				head, err = client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &to, Key: &replaced})
				if err != nil || head.Metadata["shape"] != "round" || head.Metadata["color"] != "" || aws.ToString(head.ContentType) != "text/x-two" {
					t.Errorf("%s: %v: metadata %v, type %s", replaced, err, head.Metadata, aws.ToString(head.ContentType))
				}
			}
			// Onto itself.
			if _, err := client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &bucket, Key: &key, CopySource: sourceOf(bucket, key)}); s3test.Code(err) != "InvalidRequest" {
				t.Errorf("%s onto itself without a change: %v", key, err)
			}
			before, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &bucket, Key: &key, CopySource: sourceOf(bucket, key), MetadataDirective: types.MetadataDirectiveReplace, Metadata: map[string]string{"shape": "square"}}); err != nil {
				t.Fatalf("%s onto itself: %v", key, err)
			}
			s3test.WantObject(t, client, bucket, key, body)
			after, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
			if err != nil || after.Metadata["shape"] != "square" || after.Metadata["color"] != "" || !lab.Direct && aws.ToString(after.ETag) == aws.ToString(before.ETag) {
				// With the same ETag, a conditional write could not notice this update.
				t.Errorf("%s onto itself: %v: metadata %v, ETag %s, before %s", key, err, after.Metadata, aws.ToString(after.ETag), aws.ToString(before.ETag))
			}
		}
		// Conditions on the source, tags, and another checksum.
		head, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: aws.String("small")})
		if err != nil {
			t.Fatal(err)
		}
		try := func(change func(*s3.CopyObjectInput)) error {
			in := &s3.CopyObjectInput{Bucket: &other, Key: aws.String("tried"), CopySource: sourceOf(bucket, "small")}
			change(in)
			_, err := client.CopyObject(ctx, in)
			return err
		}
		if err := try(func(in *s3.CopyObjectInput) { in.CopySourceIfMatch = head.ETag }); err != nil {
			t.Errorf("the right x-amz-copy-source-if-match: %v", err)
		}
		if err := try(func(in *s3.CopyObjectInput) { in.CopySourceIfMatch = aws.String(`"0"`) }); s3test.Code(err) != "PreconditionFailed" {
			t.Errorf("a wrong x-amz-copy-source-if-match: %v", err)
		}
		if err := try(func(in *s3.CopyObjectInput) { in.CopySourceIfNoneMatch = head.ETag }); s3test.Code(err) != "PreconditionFailed" {
			t.Errorf("x-amz-copy-source-if-none-match: %v", err)
		}
		if err := try(func(in *s3.CopyObjectInput) { in.CopySourceIfUnmodifiedSince = aws.Time(time.Now().Add(-time.Hour)) }); s3test.Code(err) != "PreconditionFailed" {
			t.Errorf("x-amz-copy-source-if-unmodified-since: %v", err)
		}
		if err := try(func(in *s3.CopyObjectInput) { in.CopySource = sourceOf(bucket, "absent") }); s3test.Code(err) != "NoSuchKey" {
			t.Errorf("no source: %v", err)
		}
		if err := try(func(in *s3.CopyObjectInput) { in.CopySource = sourceOf(bucket, ".s3proxy/keys/x") }); s3test.Code(err) != "AccessDenied" && !lab.Direct {
			t.Errorf("a state object: %v", err)
		}
		if err := try(func(in *s3.CopyObjectInput) { in.ChecksumAlgorithm = types.ChecksumAlgorithmSha256 }); err != nil {
			t.Errorf("with another checksum: %v", err)
		}
		sum, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &other, Key: aws.String("tried"), ChecksumMode: types.ChecksumModeEnabled})
		if err != nil || sum.ChecksumSHA256 == nil {
			t.Errorf("the copy's SHA256: %v, %v", sum.ChecksumSHA256, err)
		}
	})
}

func TestACopyOfAnObjectInPartsKeepsThem(t *testing.T) {
	if lab.Direct {
		t.Skip("S3 makes one part of it")
	}
	lab.OnEachMode(t, func(t *testing.T, at lab.Target, mode string) {
		client, ctx, bucket := s3test.SDK(t, at.S3), t.Context(), s3test.NewBucket(t, at.S3)
		m := s3test.Begin(t, client, bucket, "parts")
		bodies := [][]byte{s3test.Content(1, 5*s3test.MiB), s3test.Content(2, 70_000)}
		if _, err := m.Complete(client, m.Send(client, 1, bodies[0]), m.Send(client, 2, bodies[1])); err != nil {
			t.Fatal(err)
		}
		if _, err := client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &bucket, Key: aws.String("copy"), CopySource: sourceOf(bucket, "parts")}); err != nil {
			t.Fatal(err)
		}
		head := func(key string) *s3.HeadObjectOutput {
			out, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key, PartNumber: aws.Int32(2), ChecksumMode: types.ChecksumModeEnabled})
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		was, is := head("parts"), head("copy")
		if aws.ToInt32(is.PartsCount) != 2 || aws.ToInt64(is.ContentLength) != 70_000 || is.ChecksumType != was.ChecksumType || mode == lab.ModeMD5 && aws.ToString(is.ETag) != aws.ToString(was.ETag) {
			t.Errorf("the copy has %d parts, the second of %d bytes, ETag %s, checksum %s; the source ETag %s, checksum %s",
				aws.ToInt32(is.PartsCount), aws.ToInt64(is.ContentLength), aws.ToString(is.ETag), is.ChecksumType, aws.ToString(was.ETag), was.ChecksumType)
		}
	})
}

func TestAPartIsCopiedFromARangeOfAnyObject(t *testing.T) {
	lab.OnThese(t, lab.RealStores, func(t *testing.T, at lab.Target) {
		client, ctx := s3test.SDK(t, at.S3), t.Context()
		bucket, key := s3test.NewBucket(t, at.S3), "made"
		body := s3test.Content(1, 12*s3test.MiB+17)
		if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("source"), Body: bytes.NewReader(body)}); err != nil {
			t.Fatal(err)
		}
		m := s3test.Begin(t, client, bucket, key)
		send := func(number int32, r string) types.CompletedPart {
			t.Helper()
			in := &s3.UploadPartCopyInput{Bucket: &bucket, Key: &key, UploadId: &m.ID, PartNumber: &number, CopySource: sourceOf(bucket, "source")}
			if r != "" {
				in.CopySourceRange = &r
			}
			out, err := client.UploadPartCopy(ctx, in)
			if err != nil {
				t.Fatal(err)
			}
			return types.CompletedPart{PartNumber: &number, ETag: out.CopyPartResult.ETag}
		}
		list := []types.CompletedPart{send(1, ""), send(2, "bytes=65530-6000000"), send(3, "bytes=0-9")}
		for _, r := range []string{"bytes=0-99999999", "bytes=-5", "0-9", "bytes=9-0"} {
			if _, err := client.UploadPartCopy(ctx, &s3.UploadPartCopyInput{Bucket: &bucket, Key: &key, UploadId: &m.ID, PartNumber: aws.Int32(4), CopySource: sourceOf(bucket, "source"), CopySourceRange: &r}); s3test.Code(err) != "InvalidArgument" {
				t.Errorf("range %s: %v", r, err)
			}
		}
		if _, err := m.Complete(client, list...); err != nil {
			t.Fatal(err)
		}
		s3test.WantObject(t, client, bucket, key, body, body[65530:6000001], body[:10])
	})
}

// Source and destination may be encrypted with different keys or not at all, and be in different
// stores: the settings of the destination decide what the copy is.
func TestACopyBetweenBucketsFollowsTheSettingsOfBoth(t *testing.T) {
	if lab.Direct {
		t.Skip("there are no settings without the proxy")
	}
	dir := t.TempDir()
	store, second := lab.SharedVersitygw(t), lab.SharedMinIO(t)
	keyset := filepath.Join(dir, "other.json")
	lab.MustRun(t, lab.Env(), lab.S3proxy(t), "keys", "create", "--kms", "localfile://"+keyset, "--data-dir", dir)
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte(second.SecretKey), 0o600); err != nil {
		t.Fatal(err)
	}
	plain, otherKey, elsewhere, normal := lab.FreeName("plain"), lab.FreeName("otherkey"), lab.FreeName("elsewhere"), lab.FreeName("normal")
	config := filepath.Join(dir, "config.yaml")
	doc := fmt.Sprintf(`buckets:
  %s: {encrypt: false}
  %s: {kms: "localfile://%s"}
  %s:
    upstream:
      url: %s
      credentials: {access-key-id: %s, secret-access-key-file: %s}
`, plain, otherKey, keyset, elsewhere, second.URL, second.AccessKey, secret)
	if err := os.WriteFile(config, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--config", config}})
	client, ctx := s3test.SDK(t, proxy.S3()), t.Context()
	all := []string{normal, plain, otherKey, elsewhere}
	bodies := map[string][]byte{"small": s3test.Content(1, 1000), "large": s3test.Content(2, 2_500_000), "none": nil}
	for _, b := range all {
		if _, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &b}); err != nil {
			t.Fatal(err)
		}
		for key, body := range bodies {
			if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &b, Key: &key, Body: bytes.NewReader(body), Metadata: map[string]string{"from": b}, Tagging: aws.String("a=b%20c")}); err != nil {
				t.Fatal(err)
			}
			s3test.WantObject(t, client, b, key, body)
		}
	}
	for _, from := range all {
		for _, to := range all {
			for key, body := range bodies {
				name := from + "/" + key
				if _, err := client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &to, Key: &name, CopySource: sourceOf(from, key)}); err != nil {
					t.Errorf("%s to %s: %v", name, to, err)
					continue
				}
				s3test.WantObject(t, client, to, name, body)
				head, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &to, Key: &name})
				if err != nil || head.Metadata["from"] != from {
					t.Errorf("%s to %s: metadata %v, %v", name, to, head.Metadata, err)
				}
				tags, err := client.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: &to, Key: &name})
				if err != nil || len(tags.TagSet) != 1 || aws.ToString(tags.TagSet[0].Value) != "b c" {
					t.Errorf("%s to %s: tags %v, %v", name, to, tags, err)
				}
				at := store
				if to == elsewhere {
					at = second
				}
				raw, err := s3test.SDK(t, at.S3()).GetObject(ctx, &s3.GetObjectInput{Bucket: &to, Key: &name})
				if err != nil {
					t.Fatal(err)
				}
				stored, err := io.ReadAll(raw.Body)
				raw.Body.Close()
				if err != nil {
					t.Fatal(err)
				}
				if bytes.Equal(stored, body) != (to == plain) {
					t.Errorf("%s in %s: the store has %d bytes, plaintext: %v", name, to, len(stored), bytes.Equal(stored, body))
				}
			}
		}
	}
}

func TestABucketThatIsNotEncryptedIsTheStoresOwn(t *testing.T) {
	if lab.Direct {
		t.Skip("there are no settings without the proxy")
	}
	for _, name := range lab.RealStores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := lab.SharedVersitygw(t)
			if name == lab.OnMinIO {
				store = lab.SharedMinIO(t)
			}
			bucket := lab.FreeName("bare")
			config := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(config, fmt.Appendf(nil, "buckets:\n  %s: {encrypt: false}\n", bucket), 0o600); err != nil {
				t.Fatal(err)
			}
			proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--config", config}})
			client, raw, ctx := s3test.SDK(t, proxy.S3()), s3test.SDK(t, store.S3()), t.Context()
			if _, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
				t.Fatal(err)
			}
			for key, size := range map[string]int{"none": 0, "small": 10, "large": 3_000_000} {
				body := s3test.Content(uint64(size), size)
				out, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body), ChecksumAlgorithm: types.ChecksumAlgorithmSha256})
				if err != nil {
					t.Fatalf("%s: %v", key, err)
				}
				s3test.WantObject(t, client, bucket, key, body)
				s3test.WantObject(t, raw, bucket, key, body)
				head, err := raw.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
				if err != nil || aws.ToString(head.ETag) != aws.ToString(out.ETag) || aws.ToString(head.ChecksumSHA256) != aws.ToString(out.ChecksumSHA256) || head.ChecksumSHA256 == nil {
					t.Errorf("%s: %v: ETag %s, SHA256 %s; PUT gave %s, %s", key, err, aws.ToString(head.ETag), aws.ToString(head.ChecksumSHA256), aws.ToString(out.ETag), aws.ToString(out.ChecksumSHA256))
				}
			}
			if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("bad"), Body: bytes.NewReader(s3test.Content(1, 2_000_000)), ContentMD5: aws.String("1B2M2Y8AsgTpgAmY7PhCfg==")}); s3test.Code(err) != "BadDigest" {
				t.Errorf("a wrong Content-MD5: %v", err)
			}
			if _, err := raw.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: aws.String("bad")}); err == nil {
				t.Error("a bad upload became an object")
			}
			m := s3test.Begin(t, client, bucket, "parts")
			a, b := s3test.Content(1, 5*s3test.MiB), s3test.Content(2, 77)
			first, last := m.Send(client, 1, a), m.Send(client, 2, b)
			first.ChecksumCRC32, last.ChecksumCRC32 = nil, nil // versitygw refuses them if the upload named no checksum
			if _, err := m.Complete(client, first, last); err != nil {
				t.Fatal(err)
			}
			s3test.WantObject(t, raw, bucket, "parts", a, b)
			if _, err := client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &bucket, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("none")}, {Key: aws.String("small")}}}}); err != nil {
				t.Error(err)
			}
			if list, err := raw.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket}); err != nil || len(list.Contents) != 2 {
				t.Errorf("%d objects are left, want 2 (and no state objects): %v", len(list.Contents), err)
			}
		})
	}
}
