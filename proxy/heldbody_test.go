package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/s3proxy/s3proxy/proxy/upstream"
)

func TestReadersOfAHeldBodyGiveAllOfItAndFailWhenItIsClosed(t *testing.T) {
	var m heldMemory
	want := bytes.Repeat([]byte("held "), 100_000)
	h := m.get(int64(len(want)))
	copy(h.bytes, want)
	open := h.readers()
	read, err := io.ReadAll(open())
	if err != nil || !bytes.Equal(read, want) {
		t.Errorf("read: %d bytes, %v", len(read), err)
	}
	half, ended := open(), open()
	_, _ = io.CopyN(io.Discard, half, int64(len(want)/2))
	_, _ = io.CopyN(io.Discard, ended, int64(len(want)))
	h.Close()
	h.Close()
	if n, err := half.Read(make([]byte, 10)); n != 0 || !errors.Is(err, errHeldClosed) {
		t.Errorf("after Close: %d, %v", n, err)
	}
	if n, err := ended.Read(make([]byte, 10)); n != 0 || err != io.EOF {
		t.Errorf("at its end, after Close: %d, %v", n, err)
	}
}

func TestMemoryIsNotUsedAgainWhileItIsRead(t *testing.T) {
	var m heldMemory
	h := m.get(holdLimit)
	for i := range h.bytes {
		h.bytes[i] = 'x'
	}
	lent, err := h.enter()
	if err != nil {
		t.Fatal(err)
	}
	h.Close() // does not wait
	for range 3 {
		next := m.get(holdLimit)
		for i := range next.bytes {
			next.bytes[i] = 'y'
		}
	}
	if !bytes.Equal(lent, bytes.Repeat([]byte("x"), holdLimit)) {
		t.Errorf("another's data, or none, is read: %.20q", lent)
	}
	if h.leave(); h.bytes != nil || bytes.ContainsFunc(lent, func(r rune) bool { return r == 'x' }) {
		t.Error("the memory was not given back, or not cleared")
	}
}

// writerFunc is an io.Writer.
type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestAReaderWritesFromWhereTheBodyIs(t *testing.T) {
	var m heldMemory
	h := m.get(holdLimit)
	h.bytes[0], h.bytes[holdLimit-1] = 'a', 'z'
	memory := h.bytes
	open := h.readers()
	late := open()
	n, err := open().(io.WriterTo).WriteTo(writerFunc(func(p []byte) (int, error) {
		if len(p) != holdLimit || &p[0] != &memory[0] {
			t.Errorf("%d bytes of other memory were written", len(p))
		}
		h.Close() // does not wait
		for range 3 {
			next := m.get(holdLimit)
			next.bytes[0], next.bytes[holdLimit-1] = 'y', 'y'
		}
		if p[0] != 'a' || p[holdLimit-1] != 'z' {
			t.Errorf("another's data, or none, is sent: %q, %q", p[0], p[holdLimit-1])
		}
		return len(p), nil
	}))
	if n != holdLimit || err != nil {
		t.Error(n, err)
	}
	if h.bytes != nil || memory[0] != 0 {
		t.Error("the memory was not given back, or not cleared")
	}
	if n, err := late.(io.WriterTo).WriteTo(io.Discard); n != 0 || !errors.Is(err, errHeldClosed) {
		t.Errorf("after Close: %d, %v", n, err)
	}
}

// hastyStore answers before it has read a body, and keeps the body. What it is sent otherwise it
// reads first.
type hastyStore struct {
	mu    sync.Mutex
	hasty bool
	left  []io.ReadCloser
}

func (s *hastyStore) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Body != nil && s.hasty {
		s.left = append(s.left, r.Body)
	} else if r.Body != nil {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return nil, err
		}
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Etag": {`"e"`}}, Body: http.NoBody, Request: r}, nil
}

func TestAStoreThatReadsOnAfterItsAnswerReadsNothingOfOthers(t *testing.T) {
	for _, passthrough := range []bool{false, true} {
		t.Run(fmt.Sprint("not encrypted: ", passthrough), func(t *testing.T) {
			records := httptest.NewServer(&fakeStore{objects: map[string]fakeObject{}})
			t.Cleanup(records.Close)
			store := &hastyStore{}
			s := proxyAt(t, records.URL, "us-east-1", func(c *Config) {
				c.Default.Passthrough = passthrough
				c.Default.Upstream = must(upstream.New(upstream.Config{
					Endpoint: must(url.Parse(records.URL)), Region: "us-east-1", Payload: upstream.PayloadUnsigned,
					Credentials: credentials.NewStaticCredentialsProvider("UPKEY", "UPSECRET", ""),
					Wrap:        func(http.RoundTripper) http.RoundTripper { return store },
				}))
			})
			put := func(hasty bool, text string) {
				store.hasty = hasty
				resp, err := putStream(t, s, strings.NewReader(strings.Repeat(text, holdLimit/len(text))), holdLimit)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					t.Fatal(resp.Status)
				}
			}
			put(true, "mine")
			for range 3 {
				put(false, "your")
			}
			if len(store.left) != 1 {
				t.Fatalf("%d bodies were left", len(store.left))
			}
			got, err := io.ReadAll(store.left[0])
			if len(got) > 0 || !errors.Is(err, errHeldClosed) {
				t.Errorf("%d bytes were read, which begin with %.20q: %v", len(got), got, err)
			}
		})
	}
}
