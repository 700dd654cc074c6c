package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// An object's metadata is updated while another client writes the same key: no acknowledged write
// may be lost, and no body may appear under another's metadata. A store's own CopyObject fails this
// within seconds (S3PROXY_TEST_DIRECT=1 shows it).
func TestAnUpdateInPlaceLosesNoWriteBesideIt(t *testing.T) {
	for name, change := range map[string]func(*s3.CopyObjectInput){
		"metadata":         func(*s3.CopyObjectInput) {},
		"checksum":         func(in *s3.CopyObjectInput) { in.ChecksumAlgorithm = types.ChecksumAlgorithmSha256 },
		"the null version": func(in *s3.CopyObjectInput) { in.CopySource = aws.String(*in.CopySource + "?versionId=null") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lab.OnThese(t, lab.RealStores, func(t *testing.T, at lab.Target) {
				if name == "the null version" && at.Name == lab.OnVersitygw {
					t.Skip("versitygw has no versions in a bucket without versioning")
				}
				updateBesideAWriter(t, at, change)
			})
		})
	}
}

func updateBesideAWriter(t *testing.T, at lab.Target, change func(*s3.CopyObjectInput)) {
	through, after := at.S3, func() lab.S3 { return at.S3 }
	if !lab.Direct {
		proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: at.Store})
		through = proxy.S3()
		after = func() lab.S3 { return lab.Proxy(t, lab.ProxyOptions{Upstream: at.Store, DataDir: proxy.DataDir}).S3() }
	}
	client := s3test.SDK(t, through)
	bucket, key := s3test.NewBucket(t, through), "contended"
	limit := 2 * time.Second
	switch {
	case lab.Long:
		limit = 30 * time.Second
	case lab.All():
		limit = 4 * time.Second
	}
	var written atomic.Int64 // number of the newest acknowledged write
	put := func(ctx context.Context, n int64) error {
		body := fmt.Appendf(nil, "%d:", n)
		body = append(body, bytes.Repeat([]byte{byte('a' + n%26)}, 20_000+int(n%7)*100_000)...)
		_, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body), Metadata: map[string]string{"n": fmt.Sprint(n)}})
		return err
	}
	// read returns the number in the body, and fails if the metadata has a different one.
	readBy := func(client *s3.Client, match *string) (int64, error) {
		out, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key, IfMatch: match})
		if err != nil {
			return 0, err
		}
		defer out.Body.Close()
		body, err := io.ReadAll(out.Body)
		if err != nil {
			return 0, err
		}
		var n int64
		if _, err := fmt.Sscanf(string(body[:min(len(body), 20)]), "%d:", &n); err != nil {
			return 0, err
		}
		if fmt.Sprint(n) != out.Metadata["n"] {
			return n, fmt.Errorf("body %d under the metadata of %s", n, out.Metadata["n"])
		}
		return n, nil
	}
	read := func(match *string) (int64, error) { return readBy(client, match) }
	if err := put(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	written.Store(1)
	var updates atomic.Int64
	goOn := s3test.GoOn(limit, 3)
	var lost, mixed int
	var group sync.WaitGroup
	group.Go(func() { // the updater keeps the number in the metadata and changes another field
		for goOn(updates.Load()) {
			head, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
			if err != nil {
				continue
			}
			// versitygw's HEAD may have the ETag of one state and the metadata of another.
			if n, err := read(head.ETag); err != nil || fmt.Sprint(n) != head.Metadata["n"] {
				continue
			}
			in := &s3.CopyObjectInput{Bucket: &bucket, Key: &key, CopySource: sourceOf(bucket, key), CopySourceIfMatch: head.ETag,
				MetadataDirective: types.MetadataDirectiveReplace, Metadata: map[string]string{"n": head.Metadata["n"], "touched": time.Now().String()}}
			change(in)
			if _, err = client.CopyObject(t.Context(), in); err == nil {
				updates.Add(1)
			}
		}
	})
	for n := int64(2); goOn(updates.Load()); n++ {
		if err := put(t.Context(), n); err != nil {
			t.Errorf("write %d: %v", n, err)
			break
		}
		written.Store(n)
		time.Sleep(3 * time.Millisecond)
		got, err := read(nil)
		var status interface{ HTTPStatusCode() int }
		switch {
		case errors.As(err, &status) && status.HTTPStatusCode() >= 500:
			// It fails closed if the object is replaced in the middle of a read.
		case err != nil:
			mixed++
			t.Logf("%v", err)
		case got < n:
			lost++
		}
	}
	group.Wait()
	t.Logf("%d writes, %d updates in place, %d lost, %d mixed", written.Load(), updates.Load(), lost, mixed)
	if lost > 0 || mixed > 0 {
		t.Errorf("%d acknowledged writes were lost, %d bodies appeared under other metadata", lost, mixed)
	}
	if updates.Load() == 0 {
		t.Error("no update in place succeeded: nothing was tested")
	}
	n, err := readBy(s3test.SDK(t, after()), nil)
	// versitygw's HEAD in the middle of an overwrite makes a proxy believe for a minute that the
	// object has another key, and refuse it. A proxy that has not seen that HEAD reads the object.
	if lab.Long {
		n, err = read(nil)
		for until := time.Now().Add(70 * time.Second); err != nil && time.Now().Before(until); n, err = read(nil) {
			time.Sleep(time.Second)
		}
	}
	if err != nil || n != written.Load() {
		t.Errorf("in the end %d, %v; %d was written last", n, err, written.Load())
	}
}

func TestACopyOntoItselfHonoursConditionsOnTheDestination(t *testing.T) {
	if lab.Direct {
		t.Skip("versitygw and MinIO ignore conditions on a copy's destination")
	}
	lab.OnThese(t, lab.RealStores, func(t *testing.T, at lab.Target) {
		client, bucket, key := s3test.SDK(t, at.S3), s3test.NewBucket(t, at.S3), "k"
		put, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(s3test.Content(1, 1000))})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name             string
			match, noneMatch *string
			algorithm        types.ChecksumAlgorithm
			code             string
		}{
			{"another If-Match", aws.String(`"0123456789abcdef0123456789abcdef"`), nil, "", "PreconditionFailed"},
			{"If-None-Match: *", nil, aws.String("*"), "", "PreconditionFailed"},
			{"If-None-Match of it", nil, put.ETag, "", "PreconditionFailed"},
			{"another If-Match, with another checksum", aws.String(`"0123456789abcdef0123456789abcdef"`), nil, types.ChecksumAlgorithmSha1, "PreconditionFailed"},
			{"the right If-Match", put.ETag, nil, "", ""},
			{"another If-None-Match", nil, aws.String(`"0123456789abcdef0123456789abcdef"`), "", ""},
		} {
			_, err := client.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: &bucket, Key: &key, CopySource: sourceOf(bucket, key), IfMatch: c.match, IfNoneMatch: c.noneMatch,
				ChecksumAlgorithm: c.algorithm, MetadataDirective: types.MetadataDirectiveReplace, Metadata: map[string]string{"by": "copy"}})
			if s3test.Code(err) != c.code {
				t.Errorf("%s: %v, want %q", c.name, err, c.code)
			}
			head, headErr := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
			if headErr != nil || (head.Metadata["by"] == "copy") != (c.code == "") {
				t.Errorf("%s: metadata %v, %v", c.name, head.Metadata, headErr)
			}
		}
	})
}

// The size of a source is the store's word: no reader may take a body cut to the size of an empty
// object for an empty object.
func TestASourceThatTheStoreEmptiedIsNotCopied(t *testing.T) {
	if lab.Direct {
		t.Skip("only the proxy authenticates")
	}
	lab.OnThese(t, lab.RealStores, func(t *testing.T, at lab.Target) {
		client, operator, bucket, key := s3test.Once(t, at.S3), s3test.SDK(t, at.Store.S3()), s3test.NewBucket(t, at.S3), "k"
		if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("empty"), Body: bytes.NewReader(nil)}); err != nil {
			t.Fatal(err)
		}
		if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(s3test.Content(1, 1000))}); err != nil {
			t.Fatal(err)
		}
		empty := s3test.RawGet(t, at.Store.S3(), "/"+bucket+"/empty")
		full := s3test.RawGet(t, at.Store.S3(), "/"+bucket+"/"+key)
		if _, err := operator.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(empty.Body), Metadata: full.Meta}); err != nil {
			t.Fatal(err)
		}
		if _, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key}); err == nil {
			t.Error("a GET succeeds")
		}
		for _, to := range []string{"copy", key} {
			if _, err := client.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: &bucket, Key: &to, CopySource: sourceOf(bucket, key), ChecksumAlgorithm: types.ChecksumAlgorithmSha1, MetadataDirective: types.MetadataDirectiveReplace}); err == nil {
				t.Errorf("it was copied to %s as an empty object", to)
			}
		}
		m := s3test.Begin(t, client, bucket, "parts")
		if _, err := client.UploadPartCopy(t.Context(), &s3.UploadPartCopyInput{Bucket: &bucket, Key: &m.Key, UploadId: &m.ID, PartNumber: aws.Int32(1), CopySource: sourceOf(bucket, key)}); err == nil {
			t.Error("it was copied as an empty part")
		}
	})
}

// A copy to another name first looks at its source, then copies it. If the source is replaced in
// between, the copy starts over, and the client never hears of a condition that it did not set.
func TestACopyBesideAWriterOfItsSourceIsOneStateOfIt(t *testing.T) {
	lab.OnThese(t, lab.RealStores, func(t *testing.T, at lab.Target) {
		client, bucket := s3test.SDK(t, at.S3), s3test.NewBucket(t, at.S3)
		source, to := "source", "copy"
		put := func(ctx context.Context, n int) error {
			_, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &source, Body: bytes.NewReader(s3test.Content(uint64(n), 1000+n)), Metadata: map[string]string{"n": fmt.Sprint(n)}})
			return err
		}
		if err := put(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		var copies atomic.Int64
		goOn := s3test.GoOn(2*time.Second, 3)
		var group sync.WaitGroup
		group.Go(func() {
			for n := 1; goOn(copies.Load()); n++ {
				if err := put(t.Context(), n); err != nil {
					t.Errorf("write %d: %v", n, err)
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
		for goOn(copies.Load()) {
			_, err := client.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: &bucket, Key: &to, CopySource: sourceOf(bucket, source)})
			if s3test.Code(err) == "PreconditionFailed" {
				t.Error(err)
				break
			}
			if err != nil {
				continue
			}
			copies.Add(1)
			out, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &to})
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(out.Body)
			out.Body.Close()
			var n int
			fmt.Sscan(out.Metadata["n"], &n)
			if err != nil || s3test.SameBytes(body, s3test.Content(uint64(n), 1000+n)) != nil {
				t.Errorf("the copy has the metadata of %d, and: %v, %v", n, err, s3test.SameBytes(body, s3test.Content(uint64(n), 1000+n)))
			}
		}
		group.Wait()
		if copies.Load() == 0 {
			t.Error("no copy succeeded: nothing was tested")
		}
		t.Logf("%d copies", copies.Load())
	})
}

// boto3's copy and rclone's server-side copy use parts for large objects.
func TestAPartIsCopiedIntoABucketThatIsNotEncrypted(t *testing.T) {
	if lab.Direct {
		t.Skip("there are no settings without the proxy")
	}
	for name, start := range map[string]func(testing.TB) *lab.Store{lab.OnVersitygw: lab.SharedVersitygw, lab.OnMinIO: lab.SharedMinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plain, sealed := lab.FreeName("plain"), lab.FreeName("sealed")
			config := lab.PrivateFile(t, fmt.Sprintf("buckets:\n  %s: {encrypt: false}\n", plain))
			proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: start(t), Args: []string{"--config", config}})
			client, body := s3test.SDK(t, proxy.S3()), s3test.Content(1, 12*s3test.MiB+17)
			for _, b := range []string{plain, sealed} {
				s3test.MakeBucket(t, proxy.S3(), b)
				if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &b, Key: aws.String("source"), Body: bytes.NewReader(body)}); err != nil {
					t.Fatal(err)
				}
			}
			for _, from := range []string{plain, sealed} {
				for _, to := range []string{plain, sealed} {
					m := s3test.Begin(t, client, to, "from-"+from)
					var list []types.CompletedPart
					for i, r := range []string{"bytes=0-6000000", fmt.Sprintf("bytes=6000001-%d", len(body)-1)} {
						number := int32(i + 1)
						out, err := client.UploadPartCopy(t.Context(), &s3.UploadPartCopyInput{Bucket: &to, Key: &m.Key, UploadId: &m.ID, PartNumber: &number, CopySource: sourceOf(from, "source"), CopySourceRange: &r})
						if err != nil {
							t.Fatalf("%s to %s: %v", from, to, err)
						}
						list = append(list, types.CompletedPart{PartNumber: &number, ETag: out.CopyPartResult.ETag})
					}
					if _, err := m.Complete(client, list...); err != nil {
						t.Fatalf("%s to %s: %v", from, to, err)
					}
					s3test.MustGet(t, proxy.S3(), to, m.Key, body)
				}
			}
		})
	}
}
