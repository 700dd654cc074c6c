package proxy

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
)

// spoil changes what the fake store has at a path.
func (f *fakeStore) spoil(path string, change func(*fakeObject)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := f.objects[path]
	o.header, o.body = maps.Clone(o.header), bytes.Clone(o.body)
	change(&o)
	f.objects[path] = o
}

// put stores an object by a proxy and gives what the store then has.
func (f *fakeStore) put(t *testing.T, s *httptest.Server, path string, body []byte) fakeObject {
	t.Helper()
	mustAsk(t, s, "PUT", path, body)
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.objects[path]
}

// partial are the ways to ask for less than the whole of an object.
var partial = map[string][2]string{ // query, Range
	"a first range": {"", "bytes=0-9"}, "a range in the middle": {"", "bytes=70000-70009"}, "a range to the end": {"", "bytes=131000-"},
	"a suffix": {"", "bytes=-5"}, "part 1": {"?partNumber=1", ""},
}

// TestARangeShowsNothingOfAnUploadThatWasRefused: a store may keep any of the segments that
// were sent before the proxy cut the upload, and announce them as an object.
func TestARangeShowsNothingOfAnUploadThatWasRefused(t *testing.T) {
	t.Parallel()
	const size = 200_000
	for name, cut := range map[string]func(o *fakeObject){
		"the segments alone":           func(o *fakeObject) { o.body = o.body[:envelope.StoredPartSize(2*envelope.SegmentSize)] },
		"all but the trailer":          func(o *fakeObject) { o.body = o.body[:envelope.StoredPartSize(size)] },
		"zeros in the trailer's place": func(o *fakeObject) { clear(o.body[envelope.StoredPartSize(size):]) },
		"cut to another legal size":    func(o *fakeObject) { o.body = o.body[:envelope.StoredSize(150_000)] },
		"another object's trailer":     func(o *fakeObject) { copy(o.body[envelope.StoredPartSize(size):], bytes.Repeat([]byte{1}, 500)) },
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeStore{}
			s := proxyBefore(t, f, "us-east-1")
			f.put(t, s, "/bucket/k", bytes.Repeat([]byte("refused!"), size/8))
			f.spoil("/bucket/k", cut)
			for how, ask2 := range partial {
				var header []string
				if ask2[1] != "" {
					header = []string{"Range", ask2[1]}
				}
				resp, body, err := tryAsk(t, s, "GET", "/bucket/k"+ask2[0], header...)
				if err == nil && resp.StatusCode/100 == 2 || strings.Contains(body, "refused!") {
					t.Errorf("%s: %s %.60q", how, resp.Status, body)
				}
			}
			if resp, _ := ask(t, s, "HEAD", "/bucket/k", nil); name != "zeros in the trailer's place" && name != "another object's trailer" && resp.StatusCode/100 == 2 {
				t.Errorf("HEAD: %s with %s bytes", resp.Status, resp.Header.Get("Content-Length"))
			}
		})
	}
}

// tryAsk is ask where the transfer may break.
func tryAsk(t *testing.T, s *httptest.Server, method, path string, headers ...string) (*http.Response, string, error) {
	t.Helper()
	r := signed(t, s, method, path, nil, headers...)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

// TestTheSizeIsTheSealedOne: a store that cuts an object of one PUT to another legal size, or
// says so in its HEAD, is refused before a client takes a part for the whole.
func TestTheSizeIsTheSealedOne(t *testing.T) {
	t.Parallel()
	for _, lie := range []int64{envelope.StoredSize(24_000), envelope.StoredSize(40_001), envelope.StoredSize(0)} {
		f := &fakeStore{}
		s := proxyBefore(t, f, "us-east-1")
		f.put(t, s, "/bucket/k", bytes.Repeat([]byte("12345678"), 5_000))
		f.spoil("/bucket/k", func(o *fakeObject) {
			o.body = append(o.body, make([]byte, 4096)...)[:lie]
		})
		for _, c := range [][3]string{{"HEAD"}, {"GET"}, {"GET", "bytes=0-99"}, {"GET", "bytes=-7"}, {"GET", "bytes=30000-"}, {"GET", "bytes=39999-50000"}, {"HEAD", "bytes=0-99"}, {"GET", "", "attributes"}} {
			header, path := []string{}, "/bucket/k"
			if c[1] != "" {
				header = append(header, "Range", c[1])
			}
			if c[2] != "" {
				path, header = path+"?attributes=", append(header, "X-Amz-Object-Attributes", "ObjectSize")
			}
			resp, body, err := tryAsk(t, s, c[0], path, header...)
			if err == nil && resp.StatusCode/100 == 2 {
				t.Errorf("%v of an object that is stored with %d bytes: %s, %s bytes, %s: %.40q", c, lie, resp.Status, resp.Header.Get("Content-Length"), resp.Header.Get("Content-Range"), body)
			}
		}
		resp, body, err := tryAsk(t, s, "PUT", "/bucket/copy", "X-Amz-Copy-Source", "bucket/k")
		if err == nil && resp.StatusCode/100 == 2 && !strings.Contains(body, "<Error>") {
			t.Errorf("it was copied: %s", body)
		}
	}
}

// TestTwoVersionsUnderOneETagAreNotSpliced: what a replica has shown of one state under an
// ETag it does not go on with from another.
func TestTwoVersionsUnderOneETagAreNotSpliced(t *testing.T) {
	t.Parallel()
	first, second := bytes.Repeat([]byte("1111"), 50_000), bytes.Repeat([]byte("2222"), 50_000)
	for _, before := range []string{"HEAD", "a range", "the whole"} {
		f := &fakeStore{}
		s := proxyBefore(t, f, "us-east-1")
		old := f.put(t, s, "/bucket/k", first)
		now := f.put(t, s, "/bucket/k", second)
		now.header["Etag"] = old.header["Etag"]
		show := func(o fakeObject) { f.spoil("/bucket/k", func(at *fakeObject) { *at = o }) }
		show(old)
		switch before {
		case "HEAD":
			mustAsk(t, s, "HEAD", "/bucket/k", nil)
		case "a range":
			mustAsk(t, s, "GET", "/bucket/k", nil, "Range", "bytes=0-9")
		case "the whole":
			mustAsk(t, s, "GET", "/bucket/k", nil)
		}
		show(now)
		for _, rng := range []string{"bytes=100000-100009", "bytes=-10", "bytes=0-9"} {
			if resp, body := ask(t, s, "GET", "/bucket/k", nil, "Range", rng); resp.StatusCode != 500 || strings.Contains(body, "2222") {
				t.Errorf("%s after %s: %s %.40q", rng, before, resp.Status, body)
			}
		}
		if resp, _ := ask(t, s, "HEAD", "/bucket/k", nil); resp.StatusCode != 500 {
			t.Errorf("HEAD after %s: %s", before, resp.Status)
		}
		show(old)
		if resp, body := ask(t, s, "GET", "/bucket/k", nil, "Range", "bytes=100000-100009"); resp.StatusCode != 206 || body != "1111111111" {
			t.Errorf("the first one after %s: %s %.40q", before, resp.Status, body)
		}
	}
}

// TestWarmRangesCostOneRequest counts what the store is asked.
func TestWarmRangesCostOneRequest(t *testing.T) {
	t.Parallel()
	f := newPartStore(func(number, _ int) string { return fmt.Sprintf("%032x", number) })
	s := proxyBefore(t, f.fakeStore, "us-east-1")
	body := bytes.Repeat([]byte("0123456789"), 100_000)
	f.put(t, s, "/bucket/single", body)
	large := bytes.Repeat([]byte("0123456789"), envelope.MinPartSize/10+1)
	id := beginUpload(t, s)
	one, _ := mustAsk(t, s, "PUT", "/bucket/k?partNumber=1&uploadId="+id, large)
	two, _ := mustAsk(t, s, "PUT", "/bucket/k?partNumber=2&uploadId="+id, body)
	mustAsk(t, s, "POST", "/bucket/k?uploadId="+id, fmt.Appendf(nil, "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>%s</ETag></Part><Part><PartNumber>2</PartNumber><ETag>%s</ETag></Part></CompleteMultipartUpload>", one.Header.Get("Etag"), two.Header.Get("Etag")))
	count := func(path string, headers ...string) int {
		t.Helper()
		f.mu.Lock()
		f.asked = nil
		f.mu.Unlock()
		resp, _ := mustAsk(t, s, "GET", path, nil, headers...)
		if resp.StatusCode != http.StatusPartialContent {
			t.Errorf("%s %v: %s", path, headers, resp.Status)
		}
		return f.count("GET /bucket/") + f.count("HEAD /bucket/") - f.count("/.s3proxy/")
	}
	for _, c := range []struct {
		path, rng string
		most      int
	}{
		{"/bucket/single", "bytes=70000-70099", 2}, {"/bucket/single", "bytes=0-9", 1}, {"/bucket/single", "bytes=-9", 1}, {"/bucket/single", "bytes=999000-", 1},
		{"/bucket/k", "bytes=70000-70099", 2}, {"/bucket/k", "bytes=5242875-5242999", 1}, {"/bucket/k", "bytes=-9", 1}, {"/bucket/k?partNumber=2", "", 1}, {"/bucket/k?partNumber=1", "", 1},
	} {
		var header []string
		if c.rng != "" {
			header = []string{"Range", c.rng}
		}
		if n := count(c.path, header...); n != c.most {
			t.Errorf("%s %s: %d requests, want %d", c.path, c.rng, n, c.most)
		}
	}
	resp, _ := mustAsk(t, s, "HEAD", "/bucket/single", nil)
	if n := count("/bucket/single", "Range", "bytes=5-6", "If-Match", resp.Header.Get("Etag")); n != 1 {
		t.Errorf("with If-Match: %d requests", n)
	}
	// Another state is seen, and read as cold.
	f.put(t, s, "/bucket/single", bytes.Repeat([]byte("abcdefghij"), 90_000))
	if resp, got := mustAsk(t, s, "GET", "/bucket/single", nil, "Range", "bytes=70000-70009"); got != "abcdefghij" || resp.Header.Get("Content-Range") != "bytes 70000-70009/900000" {
		t.Errorf("after an overwrite: %s %s", resp.Header.Get("Content-Range"), got)
	}
}

// TestAnAnswerThatDoesNotServeIsClosedBeforeTheNext: a store that ignores Range sends the whole
// object, which must not hold a connection until the range has been sent.
func TestAnAnswerThatDoesNotServeIsClosedBeforeTheNext(t *testing.T) {
	t.Parallel()
	f := &fakeStore{}
	s := proxyBefore(t, f, "us-east-1")
	body := bytes.Repeat([]byte("ignored!"), 1<<17)
	o := f.put(t, s, "/bucket/k", body)
	closed := make(chan struct{})
	var begun atomic.Bool
	f.hook = func(w http.ResponseWriter, r *http.Request) bool {
		if rng := r.Header.Get("Range"); rng == "" || strings.HasPrefix(rng, "bytes=-") {
			return false
		}
		if begun.CompareAndSwap(false, true) {
			defer close(closed)
			maps.Copy(w.Header(), o.header)
			w.Header().Set("Content-Length", strconv.Itoa(len(o.body)))
			if _, err := w.Write(o.body[:len(o.body)/2]); err != nil {
				t.Error(err)
			}
			http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
			case <-time.After(30 * time.Second):
			}
			return true
		}
		select {
		case <-closed:
		case <-time.After(10 * time.Second):
			t.Error("the store is asked again while its first answer is open")
		}
		return false
	}
	resp, got := ask(t, s, "GET", "/bucket/k", nil, "Range", "bytes=70000-70009")
	if resp.StatusCode != http.StatusPartialContent || got != string(body[70000:70010]) {
		t.Errorf("%s %q", resp.Status, got)
	}
}
