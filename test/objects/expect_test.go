package objects

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// countingReader counts the bytes read from it.
type countingReader struct {
	io.Reader
	read atomic.Int64
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.read.Add(int64(n))
	return n, err
}

// putExpecting sends a signed PUT with Expect: 100-continue through Go's client, and returns the
// status and how much of the body was sent.
func putExpecting(t testing.TB, at lab.S3, c s3test.Call) (status int, sent int64) {
	t.Helper()
	u, err := url.Parse(at.URL)
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := c.Wire(at, u.Host)
	body := &countingReader{Reader: bytes.NewReader(c.Body)}
	req, err := http.NewRequestWithContext(t.Context(), c.Method, at.URL+c.Path, body)
	if err != nil {
		t.Fatal(err)
	}
	s3test.CopyHead(req, head)
	req.ContentLength = int64(len(c.Body))
	req.Header.Set("Expect", "100-continue")
	client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: 10 * time.Second, DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, body.read.Load()
}

func TestExpect100ContinueIsHonoured(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := s3test.NewBucket(t, at.S3)
		body := s3test.Content(5, 2<<20)
		// The Go client waits for the 100 before it sends; a refusal must come first.
		for _, c := range []struct {
			key    string
			secret string
			status int
		}{{"good", "", 200}, {"bad", "wrong", 403}} {
			signed := s3test.Call{Method: "PUT", Path: "/" + bucket + "/" + c.key, Body: body, Secret: c.secret}
			status, sent := putExpecting(t, at.S3, signed)
			if status != c.status {
				t.Errorf("%s: %d, want %d", c.key, status, c.status)
			}
			if c.status != 200 && sent > 0 {
				t.Errorf("%s: the proxy asked for %d bytes of the body before refusing", c.key, sent)
			}
		}
		if got := s3test.Get(t, at.S3, fmt.Sprintf("/%s/good", bucket)); s3test.SameBytes(got.Body, body) != nil {
			t.Errorf("read back: %v", got)
		}
	})
}

// botocore takes a final answer to `Expect: 100-continue` for the status of the next answer on the
// same connection, and then waits a minute for the end of a body that does not exist. It sends the
// header even with empty bodies, so that `aws s3 cp --recursive` hangs at an empty file. S3 answers
// 100 to those as to all others.
func TestExpect100ContinueWithAnEmptyBodyGets100(t *testing.T) {
	lab.OnEach(t, func(t *testing.T, at lab.Target) {
		bucket := s3test.NewBucket(t, at.S3)
		u, err := url.Parse(at.URL)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []s3test.Call{
			{Method: http.MethodPut, Path: "/" + bucket + "/empty"},
			{Method: http.MethodPut, Path: "/" + bucket + "/empty", PayloadHash: s3test.UnsignedPayload},
			{Method: http.MethodPut, Path: "/" + bucket + "/folder/"},
		} {
			c.Headers = map[string]string{"expect": "100-continue"}
			head, _, _ := c.Wire(at.S3, u.Host)
			head = bytes.Replace(head, []byte("connection: close\r\n"), nil, 1)
			conn, err := net.Dial("tcp", u.Host)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(lab.AnswerWithin))
			conn.Write(head)
			r := bufio.NewReader(conn)
			for _, want := range []int{http.StatusContinue, http.StatusOK} {
				resp, err := http.ReadResponse(r, &http.Request{Method: c.Method})
				if err != nil {
					t.Fatal(err)
				}
				if resp.StatusCode != want {
					t.Errorf("PUT %s: %s, want %d", c.Path, resp.Status, want)
					break
				}
			}
		}
	})
}
