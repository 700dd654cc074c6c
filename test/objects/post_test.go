package objects

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

func TestFormsThatBoto3SignsAreUploaded(t *testing.T) {
	for _, generation := range lab.Generations {
		t.Run(generation, func(t *testing.T) {
			t.Parallel()
			lab.OnEach(t, func(t *testing.T, at lab.Target) {
				python := lab.NeedBoto3(t, generation)
				lab.MustRun(t, at.Env(), python, "../clients/boto3_post.py", at.URL, s3test.NewBucket(t, at.S3))
			})
		})
	}
}

func TestALargeFormIsStreamed(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy to measure")
	}
	t.Parallel()
	size := int64(100_000_000)
	switch {
	case lab.Long:
		size = 4_900_000_000
	case lab.All():
		size = 300_000_000
	}
	p := lab.Proxy(t, lab.ProxyOptions{Upstream: lab.SharedVersitygw(t)})
	bucket := s3test.NewBucket(t, p.S3())
	kind, head, tail := s3test.SignedForm(t, p.S3(), bucket, "large")
	body := io.MultiReader(bytes.NewReader(head), io.LimitReader(s3test.Generator(7), size), bytes.NewReader(tail))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL+"/"+bucket, body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = int64(len(head)) + size + int64(len(tail))
	req.Header.Set("Content-Type", kind)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusNoContent {
		t.Fatalf("%d %s", resp.StatusCode, text)
	}
	if err := s3test.GetStream(t, p.S3(), "/"+bucket+"/large", 7, size); err != nil {
		t.Error(err)
	}
	peak, err := p.PeakMemory()
	if err != nil {
		lab.Skip(t, "there is no /proc")
	}
	t.Logf("peak memory: %d MiB", peak>>20)
	if peak >= 64<<20 {
		t.Errorf("peak memory is %d MiB", peak>>20)
	}
}

func TestAFormThatIsCutMakesNoObject(t *testing.T) {
	t.Parallel()
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := s3test.NewBucket(t, at.S3)
		host := strings.TrimPrefix(at.URL, "http://")
		for _, size := range []int{1000, 3_000_000} {
			kind, head, tail := s3test.SignedForm(t, at.S3, bucket, "cut")
			form := append(append(head, s3test.Content(3, size)...), tail...)
			for _, missing := range []int{1, 2, 3, len(tail), len(tail) + 1, len(tail) + size/2, len(tail) + size} {
				conn, err := net.Dial("tcp", host)
				if err != nil {
					t.Fatal(err)
				}
				conn.SetDeadline(time.Now().Add(lab.AnswerWithin))
				fmt.Fprintf(conn, "POST /%s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", bucket, host, kind, len(form))
				conn.Write(form[:len(form)-missing])
				conn.(*net.TCPConn).CloseWrite()
				answer, _ := io.ReadAll(conn)
				conn.Close()
				if bytes.Contains(answer[:min(len(answer), 14)], []byte(" 2")) {
					t.Errorf("%d bytes, %d of the form missing: %s", size, missing, answer)
				}
				if got := (s3test.Call{Method: "HEAD", Path: "/" + bucket + "/cut"}).Do(t, at.S3); got.Status != 404 {
					t.Fatalf("%d bytes, %d of the form missing: an object: %v", size, missing, got)
				}
			}
		}
		// The complete form works, so it was the cuts that were refused.
		kind, head, tail := s3test.SignedForm(t, at.S3, bucket, "cut")
		resp, err := http.Post(at.URL+"/"+bucket, kind, bytes.NewReader(append(append(head, "content"...), tail...)))
		if err != nil || resp.StatusCode != http.StatusNoContent {
			t.Fatal(resp, err)
		}
		resp.Body.Close()
	})
}

func TestAFormOfUnknownLengthIsRefused(t *testing.T) {
	t.Parallel()
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		if lab.Direct {
			t.Skip("stores differ")
		}
		bucket := s3test.NewBucket(t, at.S3)
		kind, head, tail := s3test.SignedForm(t, at.S3, bucket, "unknown")
		resp, err := http.Post(at.URL+"/"+bucket, kind, io.MultiReader(bytes.NewReader(head), strings.NewReader("x"), bytes.NewReader(tail)))
		if err != nil || resp.StatusCode != http.StatusLengthRequired {
			t.Fatal(resp, err)
		}
		resp.Body.Close()
	})
}

func TestAFormWithAnotherSignatureBesideItsOwnIsRefused(t *testing.T) {
	t.Parallel()
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		if lab.Direct {
			t.Skip("stores differ")
		}
		bucket := s3test.NewBucket(t, at.S3)
		kind, head, tail := s3test.SignedForm(t, at.S3, bucket, "twice")
		form := s3test.Call{Method: "POST", Path: "/" + bucket, Headers: map[string]string{"content-type": kind}, Body: append(append(head, "x"...), tail...)}
		if got := form.Do(t, at.S3); got.Status != 400 || got.Code != "InvalidRequest" {
			t.Error(got)
		}
		form.Unsigned = true
		if got := form.Do(t, at.S3); got.Status != 204 {
			t.Error(got)
		}
	})
}

func TestTheTagsOfAFormAreTheObjects(t *testing.T) {
	t.Parallel()
	lab.OnThese(t, []string{lab.OnVersitygw, lab.OnMinIO}, func(t *testing.T, at lab.Target) {
		bucket := s3test.NewBucket(t, at.S3)
		post := func(tagging string) (int, []byte) {
			kind, head, tail := s3test.SignedForm(t, at.S3, bucket, "tagged", [2]string{"tagging", tagging})
			status, _, got := s3test.Fetch(t, "POST", at.URL+"/"+bucket, kind, bytes.NewReader(append(append(head, "x"...), tail...)))
			return status, got
		}
		if status, got := post(`<Tagging><TagSet><Tag><Key>a key</Key><Value>1+1=2</Value></Tag></TagSet></Tagging>`); status != 204 {
			t.Fatalf("%d %s", status, got)
		}
		tags, err := s3test.SDK(t, at.Store.S3()).GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: &bucket, Key: aws.String("tagged")})
		if err != nil || len(tags.TagSet) != 1 || *tags.TagSet[0].Key != "a key" || *tags.TagSet[0].Value != "1+1=2" {
			t.Errorf("%v %v", tags, err)
		}
		if status, got := post("<Tagging><TagSet>"); status != 400 || !bytes.Contains(got, []byte("<Code>MalformedXML</Code>")) {
			t.Errorf("%d %s", status, got)
		}
	})
}

func TestAnUnsignedFormIsForTheStoreToJudge(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("the proxy makes this choice")
	}
	store := lab.SharedMinIO(t)
	deny := lab.Proxy(t, lab.ProxyOptions{Upstream: store})
	judged := lab.Proxy(t, lab.ProxyOptions{Upstream: store, DataDir: deny.DataDir, Args: []string{"--anonymous", "store"}})
	public, private := s3test.NewBucket(t, deny.S3()), s3test.NewBucket(t, deny.S3())
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::` + public + `/*"}]}`
	if _, err := s3test.SDK(t, store.S3()).PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: &public, Policy: &policy}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at     lab.S3
		bucket string
		want   int
	}{{deny.S3(), public, 403}, {judged.S3(), private, 403}, {judged.S3(), public, 204}} {
		var form bytes.Buffer
		w := multipart.NewWriter(&form)
		w.WriteField("key", "unsigned")
		file, err := w.CreateFormFile("file", "one")
		if err != nil {
			t.Fatal(err)
		}
		file.Write(s3test.Content(1, 1000))
		w.Close()
		status, _, got := s3test.Fetch(t, "POST", c.at.URL+"/"+c.bucket, w.FormDataContentType(), &form)
		if status != c.want {
			t.Errorf("%d, not %d: %s", status, c.want, got)
		}
		if got := (s3test.Call{Method: "GET", Path: "/" + c.bucket + "/unsigned"}).Do(t, deny.S3()); (got.Status == 200) != (c.want == 204) || got.Status == 200 && s3test.SameBytes(got.Body, s3test.Content(1, 1000)) != nil {
			t.Errorf("after %d: %v", c.want, got)
		}
	}
}
