package limits

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// sink is a store that forgets bodies of more than 1 MiB, for uploads that would need gigabytes of
// disk. It proves nothing about S3: the test only measures memory.
func sink(t *testing.T) *httptest.Server {
	var mu sync.Mutex
	kept := map[string]http.Header{}
	bodies := map[string][]byte{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		switch {
		case r.Method == http.MethodPut && r.ContentLength > s3test.MiB:
			io.Copy(io.Discard, r.Body)
			w.Header().Set("ETag", `"00000000000000000000000000000001"`)
		case r.Method == http.MethodPut:
			body, _ := io.ReadAll(r.Body)
			mu.Lock()
			kept[path], bodies[path] = r.Header.Clone(), body
			mu.Unlock()
			w.Header().Set("ETag", `"00000000000000000000000000000002"`)
		case r.Method == http.MethodPost && r.URL.Query().Has("uploads"):
			xml.NewEncoder(w).Encode(struct {
				XMLName  xml.Name `xml:"InitiateMultipartUploadResult"`
				UploadId string
			}{UploadId: "upload"})
		default:
			mu.Lock()
			header, body := kept[path], bodies[path]
			mu.Unlock()
			if body == nil {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			for name, values := range header {
				if len(name) > 11 && name[:11] == "X-Amz-Meta-" {
					w.Header()[name] = values
				}
			}
			w.Write(body)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// peakBelow runs work on n clients at once and checks that the proxy's peak memory is below the
// limit.
func peakBelow(t *testing.T, p *lab.ProxyProcess, limit int64, n int, work func(i int) error) {
	t.Helper()
	var group sync.WaitGroup
	errs := make(chan error, n)
	for i := range n {
		group.Go(func() { errs <- work(i) })
	}
	group.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	peak, err := p.PeakMemory()
	if err != nil {
		lab.Skip(t, "there is no /proc")
	}
	t.Logf("peak memory: %d MiB", peak>>20)
	if peak >= limit {
		t.Errorf("peak memory is %d MiB, want less than %d", peak>>20, limit>>20)
	}
}

// scaled is the full size with S3PROXY_TEST_LONG=1, else a tenth of it: the memory for many
// concurrent streams does not grow with their length.
func scaled(size int64) int64 {
	if lab.Long {
		return size
	}
	return size / 10
}

func TestManyPartsAtOnceNeedLittleMemory(t *testing.T) {
	lab.TakesLong(t)
	if lab.Direct {
		t.Skip("there is no proxy to measure")
	}
	p := lab.Proxy(t, lab.ProxyOptions{UpstreamURL: sink(t).URL})
	at := p.S3()
	m := s3test.Begin(t, s3test.SDK(t, at), "bucket", "parts")
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	size := scaled(100_000_000)
	peakBelow(t, p, 160<<20, 32, func(i int) error {
		c := s3test.Call{Method: http.MethodPut, Path: "/bucket/parts", Query: fmt.Sprintf("partNumber=%d&uploadId=%s", i+1, m.ID), PayloadHash: s3test.UnsignedPayload}
		return drained(c.Streamed(t, at, client, io.LimitReader(s3test.Generator(uint64(i)), size), size))
	})
}

func TestManyStreamsAtOnceNeedLittleMemory(t *testing.T) {
	lab.TakesLong(t)
	if lab.Direct {
		t.Skip("there is no proxy to measure")
	}
	size := scaled(200_000_000)
	t.Run("PUT", func(t *testing.T) {
		p := lab.Proxy(t, lab.ProxyOptions{UpstreamURL: sink(t).URL})
		at := p.S3()
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
		peakBelow(t, p, 192<<20, 64, func(i int) error {
			c := s3test.Call{Method: http.MethodPut, Path: fmt.Sprintf("/bucket/stream%d", i), PayloadHash: s3test.UnsignedPayload}
			return drained(c.Streamed(t, at, client, io.LimitReader(s3test.Generator(uint64(i)), size), size))
		})
	})
	t.Run("GET", func(t *testing.T) {
		p := lab.Proxy(t, lab.ProxyOptions{Upstream: lab.SharedVersitygw(t)})
		at := p.S3()
		path := "/" + s3test.NewBucket(t, at) + "/stream"
		if err := s3test.PutStream(t, at, path, 1, size); err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
		peakBelow(t, p, 192<<20, 64, func(int) error {
			return drained(s3test.Call{Method: http.MethodGet, Path: path}.Streamed(t, at, client, nil, 0))
		})
		s3test.Call{Method: http.MethodDelete, Path: path}.Do(t, at)
	})
}

// drained reads an answer to its end; any status but 200 is an error.
func drained(resp *http.Response, err error) error {
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%s: %s", resp.Status, text)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
