package upstream

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"testing"
	"testing/iotest"
)

func framed(t *testing.T, body []byte, read func(io.Reader) io.Reader) []byte {
	t.Helper()
	w := &chunkWriter{in: read(bytes.NewReader(body)), left: int64(len(body)), sum: crc32c()}
	out, err := io.ReadAll(w)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestChunksHaveTheAnnouncedLengthAndGiveTheBodyBack(t *testing.T) {
	for _, n := range []int{0, 1, chunkSize - 1, chunkSize, chunkSize + 1, 3*chunkSize + 17} {
		body := bytes.Repeat([]byte("s3proxy "), n/8+1)[:n]
		for name, read := range map[string]func(io.Reader) io.Reader{
			"at once":   func(r io.Reader) io.Reader { return r },
			"in halves": iotest.HalfReader, "end with data": iotest.DataErrReader,
		} {
			out := framed(t, body, read)
			if int64(len(out)) != chunkedLength(int64(n), crc32c()) {
				t.Errorf("%d bytes %s: %d framed, announced %d", n, name, len(out), chunkedLength(int64(n), crc32c()))
			}
			// RFC 9112's chunked coding is the same but for the trailer.
			data, trailer, _ := bytes.Cut(out, []byte("\r\n0\r\n"))
			if n == 0 {
				data, trailer = nil, bytes.TrimPrefix(out, []byte("0\r\n"))
			}
			got, err := io.ReadAll(httputil.NewChunkedReader(io.MultiReader(bytes.NewReader(data), strings.NewReader("\r\n0\r\n\r\n"))))
			if n > 0 && (err != nil || !bytes.Equal(got, body)) {
				t.Errorf("%d bytes %s: %d came back, %v", n, name, len(got), err)
			}
			want := "x-amz-checksum-crc32c:" + base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.Checksum(body, castagnoli))) + "\r\n\r\n"
			if string(trailer) != want {
				t.Errorf("%d bytes %s: trailer %q, want %q", n, name, trailer, want)
			}
		}
	}
}

func TestABodyThatEndsEarlyFailsOrGoesOnNeverGetsItsLastChunk(t *testing.T) {
	broken := errors.New("broken")
	for name, body := range map[string]io.Reader{
		"early":   strings.NewReader("1234"),
		"failing": io.MultiReader(strings.NewReader("12345"), iotest.ErrReader(broken)),
		"longer":  strings.NewReader("123456"),
	} {
		out, err := io.ReadAll(&chunkWriter{in: body, left: 5, sum: crc32c()})
		if err == nil || bytes.Contains(out, []byte("0\r\nx-amz")) {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	followed := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed = true }))
	defer other.Close()
	store := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer store.Close()
	c := newClient(t, store.URL)
	if _, err := c.Do(t.Context(), &Request{Method: http.MethodPut, Bucket: someBucket, Key: someKey, Bytes: []byte("x")}); err == nil || followed {
		t.Errorf("followed %v, %v", followed, err)
	}
}

func TestKeysReachTheStoreAsTheyAre(t *testing.T) {
	var got string
	store := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RequestURI }))
	defer store.Close()
	c := newClient(t, store.URL)
	for key, want := range map[string]string{
		"a//b/../c/./d": "/bucket/a//b/../c/./d", "a+b c%d": "/bucket/a%2Bb%20c%25d", "ü?#": "/bucket/%C3%BC%3F%23", "/x": "/bucket//x", "a;b=c": "/bucket/a%3Bb%3Dc",
	} {
		resp, err := c.Do(t.Context(), &Request{Method: http.MethodGet, Bucket: someBucket, Key: must(s3name.ParseKey(key))})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got != want {
			t.Errorf("key %q is asked for as %s, want %s", key, got, want)
		}
	}
}
