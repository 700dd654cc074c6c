package upstream

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// lent is memory that net/http sees through readers alone.
func lent(b []byte) (readers func() io.ReadCloser, opened *int) {
	opened = new(int)
	return func() io.ReadCloser {
		*opened++
		return io.NopCloser(struct{ io.Reader }{bytes.NewReader(b)})
	}, opened
}

func TestABodyInMemoryIsSentAgainWholeAndWithItsOwnChecksum(t *testing.T) {
	body := bytes.Repeat([]byte("s3proxy "), 20_000)
	sum := sha256.Sum256(body)
	want := base64.StdEncoding.EncodeToString(sum[:])
	var got []string
	store := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		sent, err := io.ReadAll(r.Body)
		if err != nil || !bytes.Equal(sent, body) || r.ContentLength != int64(len(body)) {
			t.Errorf("the store gets %d bytes of %d, %v", len(sent), r.ContentLength, err)
		}
		got = append(got, r.Header.Get("X-Amz-Checksum-Sha256"))
	}))
	defer store.Close()
	c := newClient(t, store.URL)
	req := &Request{Method: http.MethodPut, Bucket: someBucket, Key: someKey, Bytes: body, Checksum: &Checksum{Header: "X-Amz-Checksum-Sha256", Hash: sha256.New()}}
	var opened *int
	req.Readers, opened = lent(body)
	for range 2 {
		resp, err := c.Do(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if len(got) != 2 || got[0] != want || got[1] != want || *opened != 2 {
		t.Errorf("checksums %q, want twice %q; %d readers", got, want, *opened)
	}
}

func TestABodyInMemoryIsSentAgainByNetHTTPOnAConnectionThatWasStale(t *testing.T) {
	body := bytes.Repeat([]byte("s3proxy "), 20_000)
	asked := 0
	store := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if asked++; asked == 2 { // on the connection of the first
			panic(http.ErrAbortHandler)
		}
		if sent, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(sent, body) {
			t.Errorf("the store gets %d bytes, %v", len(sent), err)
		}
	}))
	defer store.Close()
	c := newClient(t, store.URL)
	for range 2 {
		// net/http sends only what has this header again, if the store has seen some of it.
		req := &Request{Method: http.MethodPut, Bucket: someBucket, Key: someKey, Bytes: body, Header: http.Header{"Idempotency-Key": {"1"}}}
		req.Readers, _ = lent(body)
		resp, err := c.Do(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if asked != 3 {
		t.Errorf("asked %d times", asked)
	}
}
