package s3test

import (
	"bytes"
	"crypto/sha256"
	"io"
	"net/http"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

// LargeSize is the size of an object much larger than what the proxy holds of it in memory.
var LargeSize = 100_000_000

// PutStream uploads size bytes from a generator.
func PutStream(t testing.TB, at lab.S3, path string, seed uint64, size int64) error {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := Call{Method: http.MethodPut, Path: path}.Streamed(t, at, client, io.LimitReader(Generator(seed), size), size)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		t.Errorf("PUT %s: %d %s", path, resp.StatusCode, body)
	}
	return err
}

// GetStream reads an object and compares it with size bytes from a generator.
func GetStream(t testing.TB, at lab.S3, path string, seed uint64, size int64) error {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := Call{Method: http.MethodGet, Path: path}.Streamed(t, at, client, nil, 0)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, want := sha256.New(), sha256.New()
	n, err := io.Copy(got, resp.Body)
	if err != nil {
		return err
	}
	io.Copy(want, io.LimitReader(Generator(seed), size))
	if resp.StatusCode != http.StatusOK || n != size || resp.ContentLength != size || !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
		t.Errorf("GET %s: %d with %d bytes (Content-Length %d), or not the bytes that were put", path, resp.StatusCode, n, resp.ContentLength)
	}
	return nil
}
