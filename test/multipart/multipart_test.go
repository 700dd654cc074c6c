package multipart

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// uploadState lists the keys of the upload states in the store.
func uploadState(t *testing.T, store *lab.Store, bucket string) []string {
	t.Helper()
	out, err := s3test.SDK(t, store.S3()).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: aws.String(".s3proxy/uploads/")})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, o := range out.Contents {
		keys = append(keys, *o.Key)
	}
	return keys
}

func TestAMultipartUploadOfAnyShapeBecomesTheObject(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		client := s3test.SDK(t, at.S3)
		for _, shape := range []struct {
			name  string
			sizes []int
		}{
			{"one tiny part", []int{1}},
			{"one empty part", []int{0}},
			{"one large part", []int{5*s3test.MiB + 1}},
			{"regular parts", []int{5 * s3test.MiB, 5 * s3test.MiB, 5 * s3test.MiB}},
			{"a tiny last part", []int{5 * s3test.MiB, 6*s3test.MiB + 17, 3}},
			{"an empty last part", []int{5 * s3test.MiB, 0}},
			{"growing parts", []int{5 * s3test.MiB, 5*s3test.MiB + 65536, 8*s3test.MiB + 1, 9 * s3test.MiB}},
		} {
			t.Run(shape.name, func(t *testing.T) {
				t.Parallel()
				bucket, key := s3test.NewBucket(t, at.S3), "dir/a key+ü"
				m := s3test.Begin(t, client, bucket, key)
				var bodies [][]byte
				for i, size := range shape.sizes {
					bodies = append(bodies, s3test.Content(uint64(i+1), size))
				}
				list := make([]types.CompletedPart, len(bodies))
				var group sync.WaitGroup
				for i := range bodies { // all in parallel, in any order
					group.Go(func() { list[i] = m.Send(client, int32(i+1), bodies[i]) })
				}
				group.Wait()
				if t.Failed() {
					return
				}
				out, err := m.Complete(client, list...)
				if err != nil {
					t.Fatalf("CompleteMultipartUpload: %v", err)
				}
				s3test.WantObject(t, client, bucket, key, bodies...)
				head, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
				if err != nil || aws.ToString(head.ETag) != aws.ToString(out.ETag) || head.Metadata["color"] != "red" || aws.ToString(head.ContentType) != "text/plain" {
					t.Errorf("HEAD: %v, ETag %s (Complete gave %s), metadata %v, type %s", err, aws.ToString(head.ETag), aws.ToString(out.ETag), head.Metadata, aws.ToString(head.ContentType))
				}
				if at.Store != nil && !lab.Direct {
					if left := uploadState(t, at.Store, bucket); len(left) > 0 {
						t.Errorf("state left behind: %v", left)
					}
				}
				// A repeated Complete succeeds and changes nothing.
				again, err := m.Complete(client, list...)
				if err != nil || aws.ToString(again.ETag) != aws.ToString(out.ETag) {
					t.Errorf("a repeated Complete: %v, ETag %s, want %s", err, aws.ToString(again.ETag), aws.ToString(out.ETag))
				}
			})
		}
	})
}

func TestCompleteJudgesTheClientsListByThePlaintext(t *testing.T) {
	lab.OnThese(t, lab.RealStores, func(t *testing.T, at lab.Target) {
		client := s3test.SDK(t, at.S3)
		bucket, key := s3test.NewBucket(t, at.S3), "judged"
		m := s3test.Begin(t, client, bucket, key)
		a, b, small, last := s3test.Content(1, 5*s3test.MiB), s3test.Content(2, 6*s3test.MiB), s3test.Content(3, 5*s3test.MiB-1), s3test.Content(4, 10)
		first := m.Send(client, 1, a)
		replaced := m.Send(client, 2, s3test.Content(5, 7*s3test.MiB))
		second := m.Send(client, 2, b) // again, with different content and size
		third := m.Send(client, 3, small)
		fifth := m.Send(client, 5, s3test.Content(6, 5*s3test.MiB))
		tenth := m.Send(client, 10, last)
		wrong := types.CompletedPart{PartNumber: aws.Int32(1), ETag: aws.String(`"00000000000000000000000000000000"`)}
		absent := types.CompletedPart{PartNumber: aws.Int32(4), ETag: first.ETag}
		for _, refused := range []struct {
			want string
			list []types.CompletedPart
		}{
			{"InvalidPart", []types.CompletedPart{wrong, second}},
			{"InvalidPart", []types.CompletedPart{first, absent}},
			{"InvalidPart", []types.CompletedPart{first, replaced}},
			{"InvalidPartOrder", []types.CompletedPart{second, first}},
			{"InvalidPartOrder", []types.CompletedPart{first, first}},
			{"EntityTooSmall", []types.CompletedPart{first, third, tenth}},
			{"MalformedXML", nil},
		} {
			if _, err := m.Complete(client, refused.list...); s3test.Code(err) != refused.want {
				t.Errorf("Complete of %d parts: %v, want %s", len(refused.list), err, refused.want)
			}
		}
		if _, err := client.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{Bucket: &bucket, Key: &key, UploadId: &m.ID, MpuObjectSize: aws.Int64(11*s3test.MiB + 11),
			MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{first, second, tenth}}}); s3test.Code(err) != "InvalidRequest" {
			t.Errorf("a wrong x-amz-mp-object-size: %v", err)
		}
		if _, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key}); err == nil {
			t.Fatal("a refused Complete made an object")
		}

		parts, err := client.ListParts(t.Context(), &s3.ListPartsInput{Bucket: &bucket, Key: &key, UploadId: &m.ID, MaxParts: aws.Int32(3)})
		if err != nil {
			t.Fatal(err)
		}
		var seen []string
		for {
			for _, p := range parts.Parts {
				seen = append(seen, fmt.Sprintf("%d %d %s", *p.PartNumber, *p.Size, *p.ETag))
			}
			if !aws.ToBool(parts.IsTruncated) {
				break
			}
			if parts, err = client.ListParts(t.Context(), &s3.ListPartsInput{Bucket: &bucket, Key: &key, UploadId: &m.ID, MaxParts: aws.Int32(3), PartNumberMarker: parts.NextPartNumberMarker}); err != nil {
				t.Fatal(err)
			}
		}
		var want []string
		for _, p := range []struct {
			types.CompletedPart
			size int
		}{{first, 5 * s3test.MiB}, {second, 6 * s3test.MiB}, {third, 5*s3test.MiB - 1}, {fifth, 5 * s3test.MiB}, {tenth, 10}} {
			want = append(want, fmt.Sprintf("%d %d %s", *p.PartNumber, p.size, *p.ETag))
		}
		if !slices.Equal(seen, want) {
			t.Errorf("ListParts:\n%v\nwant\n%v", seen, want)
		}
		uploads, err := client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &bucket, Prefix: &key})
		if err != nil || len(uploads.Uploads) != 1 || aws.ToString(uploads.Uploads[0].UploadId) != m.ID {
			t.Errorf("ListMultipartUploads: %+v, %v", uploads, err)
		}

		// A subset with gaps: parts 3 and 5 are left out, although 3 is the number after the last
		// listed one.
		if _, err := client.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{Bucket: &bucket, Key: &key, UploadId: &m.ID, MpuObjectSize: aws.Int64(11 * s3test.MiB),
			MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{first, second}}}); err != nil {
			t.Fatal(err)
		}
		s3test.WantObject(t, client, bucket, key, a, b)
	})
}

func TestPart10000WhichTheGoAndJavaScriptSDKsReachIsAPartLikeAnyOther(t *testing.T) {
	lab.OnThese(t, lab.RealStores, func(t *testing.T, at lab.Target) {
		client := s3test.SDK(t, at.S3)
		bucket := s3test.NewBucket(t, at.S3)
		for key, size := range map[string]int{"small": 100, "large": 5*s3test.MiB + 3, "empty": 0} {
			m := s3test.Begin(t, client, bucket, key)
			a, b := s3test.Content(1, 5*s3test.MiB), s3test.Content(2, size)
			first := m.Send(client, 1, a)
			m.Send(client, 10000, s3test.Content(3, 50))
			last := m.Send(client, 10000, b)
			list, err := client.ListParts(t.Context(), &s3.ListPartsInput{Bucket: &bucket, Key: &key, UploadId: &m.ID})
			if err != nil || len(list.Parts) != 2 {
				t.Errorf("ListParts: %v, %v", list.Parts, err)
			}
			if _, err := m.Complete(client, first, last); err != nil {
				t.Fatalf("%s: %v", key, err)
			}
			s3test.WantObject(t, client, bucket, key, a, b)
		}
	})
}

func TestPart1IsTheFirstPartWhateverItsNumberAsDirect(t *testing.T) {
	for _, store := range lab.SharedStores(t) {
		t.Run(store.Name, func(t *testing.T) {
			proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: store})
			for way, at := range map[string]lab.S3{"direct": store.S3(), "proxy": proxy.S3()} {
				client, bucket := s3test.SDK(t, at), s3test.NewBucket(t, at)
				for key, numbers := range map[string][]int32{"one": {7}, "two": {3, 9}} {
					m := s3test.Begin(t, client, bucket, key)
					first := s3test.Content(1, 5*s3test.MiB)
					var parts []types.CompletedPart
					for i, number := range numbers {
						part := m.Send(client, number, first[:len(first)-i])
						part.ChecksumCRC32 = nil
						parts = append(parts, part)
					}
					if _, err := m.Complete(client, parts...); err != nil {
						t.Fatalf("%s: %s: %v", way, key, err)
					}
					got := (s3test.Call{Method: "GET", Path: "/" + bucket + "/" + key, Query: "partNumber=1"}).Do(t, at)
					if count := got.Header.Get("X-Amz-Mp-Parts-Count"); got.Status != 206 || s3test.SameBytes(got.Body, first) != nil || count != fmt.Sprint(len(numbers)) {
						t.Errorf("%s: part 1 of %s: %v, %s parts", way, key, got, count)
					}
				}
			}
		})
	}
}

func TestAnAbortedUploadIsNoSuchUploadWhateverStandsAtTheKey(t *testing.T) {
	lab.OnThese(t, lab.RealStores, func(t *testing.T, at lab.Target) {
		client := s3test.SDK(t, at.S3)
		bucket, key := s3test.NewBucket(t, at.S3), "register"
		body := s3test.Content(1, 100)
		for _, what := range []string{"no object", "a single object", "another upload's"} {
			switch what {
			case "a single object":
				if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body)}); err != nil {
					t.Fatal(err)
				}
			case "another upload's":
				m := s3test.Begin(t, client, bucket, key)
				if _, err := m.Complete(client, m.Send(client, 1, body)); err != nil {
					t.Fatal(err)
				}
			}
			m := s3test.Begin(t, client, bucket, key)
			part := m.Send(client, 1, s3test.Content(2, 200))
			abort := func() error {
				_, err := client.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{Bucket: &bucket, Key: &key, UploadId: &m.ID})
				return err
			}
			if err := abort(); err != nil {
				t.Fatal(err)
			}
			if err := abort(); s3test.Code(err) != "NoSuchUpload" && !(lab.Direct && at.Name == lab.OnMinIO) { // MinIO answers 204
				t.Errorf("%s: a second Abort: %v", what, err)
			}
			if _, err := m.Complete(client, part); s3test.Code(err) != "NoSuchUpload" {
				t.Errorf("%s: Complete after Abort: %v", what, err)
			}
			if _, err := client.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: &bucket, Key: &key, UploadId: &m.ID, PartNumber: aws.Int32(2), Body: bytes.NewReader(body)}); s3test.Code(err) != "NoSuchUpload" {
				t.Errorf("%s: UploadPart after Abort: %v", what, err)
			}
			if _, err := client.ListParts(t.Context(), &s3.ListPartsInput{Bucket: &bucket, Key: &key, UploadId: &m.ID}); s3test.Code(err) != "NoSuchUpload" {
				t.Errorf("%s: ListParts after Abort: %v", what, err)
			}
			if what != "no object" {
				s3test.WantObject(t, client, bucket, key, body)
			}
			if !lab.Direct {
				if left := uploadState(t, at.Store, bucket); len(left) > 0 {
					t.Errorf("%s: state left behind: %v", what, left)
				}
			}
		}
	})
}

func TestCompleteHonoursConditions(t *testing.T) {
	lab.OnThese(t, lab.RealStores, func(t *testing.T, at lab.Target) {
		t.Run("opaque", func(t *testing.T) { testConditionalComplete(t, at.S3) })
		if lab.Direct {
			return
		}
		t.Run("md5", func(t *testing.T) {
			testConditionalComplete(t, lab.Proxy(t, lab.ProxyOptions{Upstream: at.Store, Args: []string{"--etag", "md5"}}).S3())
		})
	})
}

func testConditionalComplete(t *testing.T, at lab.S3) {
	client := s3test.SDK(t, at)
	bucket, key := s3test.NewBucket(t, at), "conditional"
	finish := func(change func(*s3.CompleteMultipartUploadInput), body []byte) (*s3.CompleteMultipartUploadOutput, error) {
		m := s3test.Begin(t, client, bucket, key)
		in := &s3.CompleteMultipartUploadInput{Bucket: &bucket, Key: &key, UploadId: &m.ID, MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{m.Send(client, 1, body)}}}
		change(in)
		return client.CompleteMultipartUpload(t.Context(), in)
	}
	one, two := s3test.Content(1, 100), s3test.Content(2, 101)
	onlyNew := func(in *s3.CompleteMultipartUploadInput) { in.IfNoneMatch = aws.String("*") }
	first, err := finish(onlyNew, one)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := finish(onlyNew, two); s3test.Code(err) != "PreconditionFailed" {
		t.Errorf("If-None-Match on an existing object: %v", err)
	}
	if _, err := finish(func(in *s3.CompleteMultipartUploadInput) {
		in.IfMatch = aws.String(`"d41d8cd98f00b204e9800998ecf8427e-1"`)
	}, two); s3test.Code(err) != "PreconditionFailed" {
		t.Errorf("a wrong If-Match: %v", err)
	}
	s3test.WantObject(t, client, bucket, key, one)
	if _, err := finish(func(in *s3.CompleteMultipartUploadInput) { in.IfMatch = first.ETag }, two); err != nil {
		t.Errorf("the right If-Match: %v", err)
	}
	s3test.WantObject(t, client, bucket, key, two)
}

func TestEachReplicaTakesAnyPartAndCompletes(t *testing.T) {
	for _, name := range lab.RealStores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := lab.SharedVersitygw(t)
			if name == lab.OnMinIO {
				store = lab.SharedMinIO(t)
			}
			one := lab.Proxy(t, lab.ProxyOptions{Upstream: store})
			replica := func() *lab.ProxyProcess {
				return lab.Proxy(t, lab.ProxyOptions{Upstream: store, DataDir: one.DataDir})
			}
			replicas := []*lab.ProxyProcess{one, replica(), replica()}
			clients := make([]*s3.Client, len(replicas))
			for i, r := range replicas {
				clients[i] = s3test.SDK(t, r.S3())
			}
			bucket, key := s3test.NewBucket(t, one.S3()), "spread"
			m := s3test.Begin(t, clients[0], bucket, key)
			var bodies [][]byte
			var list []types.CompletedPart
			for i := range 6 {
				bodies = append(bodies, s3test.Content(uint64(i), 5*s3test.MiB+i*100_000))
				list = append(list, m.Send(clients[i%3], int32(i+1), bodies[i]))
			}
			// A replica is killed in the middle of a part; another replica receives the part again.
			half, killed := make(chan struct{}), make(chan struct{})
			sent := make(chan error, 1)
			go func() {
				c := s3test.Call{Method: http.MethodPut, Path: "/" + bucket + "/" + key, Query: "partNumber=7&uploadId=" + m.ID, PayloadHash: s3test.UnsignedPayload}
				resp, err := c.Streamed(t, replicas[1].S3(), &http.Client{}, &stopsHalfway{left: 4 * s3test.MiB, half: half, end: killed}, 8*s3test.MiB)
				if err == nil {
					resp.Body.Close()
				}
				sent <- err
			}()
			<-half
			replicas[1].Kill()
			close(killed)
			if err := <-sent; err == nil {
				t.Error("a replica acknowledged a part although it was killed in the middle of it")
			}
			bodies = append(bodies, s3test.Content(10, 70))
			list = append(list, m.Send(clients[2], 7, bodies[6]))
			late := s3test.SDK(t, replica().S3())
			if _, err := m.Complete(late, list...); err != nil {
				t.Fatal(err)
			}
			s3test.WantObject(t, late, bucket, key, bodies...)
			s3test.WantObject(t, clients[0], bucket, key, bodies...)
		})
	}
}

// stopsHalfway returns half of a body and then blocks until the end.
type stopsHalfway struct {
	left      int
	half, end chan struct{}
	once      sync.Once
}

func (s *stopsHalfway) Read(p []byte) (int, error) {
	if s.left == 0 {
		s.once.Do(func() { close(s.half) })
		<-s.end
		return 0, io.ErrUnexpectedEOF
	}
	n := min(len(p), s.left)
	s.left -= n
	return n, nil
}

func TestETagsOfPartsAndObjectAreMD5sInModeMD5(t *testing.T) {
	for _, name := range lab.RealStores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := lab.SharedVersitygw(t)
			if name == lab.OnMinIO {
				store = lab.SharedMinIO(t)
			}
			proxy := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--etag", "md5"}})
			client := s3test.SDK(t, proxy.S3())
			bucket, key := s3test.NewBucket(t, proxy.S3()), "md5"
			m := s3test.Begin(t, client, bucket, key)
			bodies := [][]byte{s3test.Content(1, 5*s3test.MiB), s3test.Content(2, 6*s3test.MiB), s3test.Content(3, 9)}
			var list []types.CompletedPart
			all := md5.New()
			for i, b := range bodies {
				sum := md5.Sum(b)
				all.Write(sum[:])
				p := m.Send(client, int32(i+1), b)
				if want := fmt.Sprintf(`"%x"`, sum); aws.ToString(p.ETag) != want {
					t.Errorf("part %d: ETag %s, want %s", i+1, aws.ToString(p.ETag), want)
				}
				list = append(list, p)
			}
			out, err := m.Complete(client, list...)
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf(`"%x-3"`, all.Sum(nil)); aws.ToString(out.ETag) != want {
				t.Errorf("ETag %s, want %s", aws.ToString(out.ETag), want)
			}
			s3test.WantObject(t, client, bucket, key, bodies...)
			if head, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key}); err != nil || aws.ToString(head.ETag) != aws.ToString(out.ETag) {
				t.Errorf("HEAD: %v, ETag %s, want %s", err, aws.ToString(head.ETag), aws.ToString(out.ETag))
			}
		})
	}
}

func TestAPartThatTheClientCutsOrForgesIsNoPart(t *testing.T) {
	lab.OnThese(t, lab.RealStores, func(t *testing.T, at lab.Target) {
		client := s3test.SDK(t, at.S3)
		bucket, key := s3test.NewBucket(t, at.S3), "forged"
		m := s3test.Begin(t, client, bucket, key)
		for _, size := range []int{10, 6 * s3test.MiB} {
			body := s3test.Content(1, size)
			_, err := client.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: &bucket, Key: &key, UploadId: &m.ID, PartNumber: aws.Int32(1), Body: bytes.NewReader(body), ContentMD5: aws.String("1B2M2Y8AsgTpgAmY7PhCfg==")})
			if s3test.Code(err) != "BadDigest" {
				t.Errorf("a wrong Content-MD5 of %d bytes: %v", size, err)
			}
			_, err = client.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: &bucket, Key: &key, UploadId: &m.ID, PartNumber: aws.Int32(1), Body: bytes.NewReader(body), ChecksumCRC32: aws.String("AAAAAA==")})
			if s3test.Code(err) != "BadDigest" {
				t.Errorf("a wrong CRC32 of %d bytes: %v", size, err)
			}
		}
		if parts, err := client.ListParts(t.Context(), &s3.ListPartsInput{Bucket: &bucket, Key: &key, UploadId: &m.ID}); err != nil || len(parts.Parts) > 0 {
			t.Errorf("ListParts: %v, %v", parts.Parts, err)
		}
		for _, n := range []string{"0", "10001", "x", "-1"} {
			a := s3test.Call{Method: http.MethodPut, Path: "/" + bucket + "/" + key, Query: "partNumber=" + n + "&uploadId=" + m.ID, Body: []byte("x")}.Do(t, at.S3)
			if a.Status != http.StatusBadRequest || !strings.Contains(string(a.Body), "InvalidArgument") {
				t.Errorf("part number %s: %v", n, a)
			}
		}
	})
}
