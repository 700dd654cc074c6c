package test

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
)

// countingReader counts what is read of it.
type countingReader struct {
	io.Reader
	read atomic.Int64
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.read.Add(int64(n))
	return n, err
}

// putExpecting sends a signed PUT with Expect: 100-continue through Go's
// client, and tells the status and how much of the body was sent.
func putExpecting(t testing.TB, at lab.S3, c call) (status int, sent int64) {
	t.Helper()
	u, err := url.Parse(at.URL)
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := c.wire(at, u.Host)
	body := &countingReader{Reader: bytes.NewReader(c.body)}
	req, err := http.NewRequestWithContext(t.Context(), c.method, at.URL+c.path, body)
	if err != nil {
		t.Fatal(err)
	}
	copyHead(req, head)
	req.ContentLength = int64(len(c.body))
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
