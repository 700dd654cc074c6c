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
	var written bytes.Buffer
	half := open()
	_, _ = io.CopyN(&written, half, int64(len(want)/2))
	if n, err := half.(io.WriterTo).WriteTo(&written); err != nil || !bytes.Equal(written.Bytes(), want) || n != int64(len(want)-len(want)/2) {
		t.Errorf("written: %d bytes, %v", n, err)
	}
	rest := open()
	h.Close()
	h.Close()
	if n, err := rest.Read(make([]byte, 10)); n != 0 || err == nil || err == io.EOF {
		t.Errorf("after Close: %d, %v", n, err)
	}
	if n, err := rest.(io.WriterTo).WriteTo(&written); n != 0 || err == nil {
		t.Errorf("after Close: %d, %v", n, err)
	}
	if n, err := half.Read(make([]byte, 10)); n != 0 || err != io.EOF {
		t.Errorf("at its end, after Close: %d, %v", n, err)
	}
}

// lateWriter waits in a write, and looks at what it was given afterwards.
type lateWriter struct {
	begun, end chan struct{}
	kept       []byte
}

func (w *lateWriter) Write(p []byte) (int, error) {
	close(w.begun)
	<-w.end
	w.kept = append(w.kept, p...)
	return len(p), nil
}

func TestMemoryIsNotUsedAgainWhileAWriteGoesOn(t *testing.T) {
	var m heldMemory
	h := m.get(holdLimit)
	for i := range h.bytes {
		h.bytes[i] = 'x'
	}
	w := &lateWriter{begun: make(chan struct{}), end: make(chan struct{})}
	done := make(chan error)
	reader := h.readers()().(io.WriterTo)
	go func() {
		_, err := reader.WriteTo(w)
		done <- err
	}()
	<-w.begun
	h.Close() // does not wait
	for range 3 {
		next := m.get(holdLimit)
		for i := range next.bytes {
			next.bytes[i] = 'y'
		}
	}
	close(w.end)
	if err := <-done; err == nil {
		t.Error("a closed body was written to its end")
	}
	if !bytes.Equal(w.kept, bytes.Repeat([]byte("x"), heldPiece)) {
		t.Errorf("another's data, or none, was written: %.20q", w.kept)
	}
	if h.bytes != nil {
		t.Error("the memory was not given back")
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
