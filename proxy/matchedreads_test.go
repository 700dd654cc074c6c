package proxy

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/object"
)

// matchedReads are objects of every kind in a store. Those whose name begins with "opaque" were
// written in mode opaque, so that only their end tells that they have no MD5.
type matchedReads struct {
	*partStore
	config  Config
	objects map[string][]byte // by path
}

const multipartPath = "/bucket/k" // beginUpload's

func newMatchedReads(t *testing.T) *matchedReads {
	t.Helper()
	m := &matchedReads{partStore: newPartStore(func(number, _ int) string { return fmt.Sprintf("%032x", number) })}
	m.fakeStore.objects = map[string]fakeObject{}
	store := httptest.NewServer(m.fakeStore)
	t.Cleanup(store.Close)
	proxyAt(t, store.URL, "us-east-1", func(c *Config) {
		c.Default.AllowPlaintextReads = true
		m.config = *c
	})
	writer, opaque := m.proxy(t, object.ETagMD5, false), m.proxy(t, object.ETagOpaque, false)
	several := func(c string, n int) []byte { return bytes.Repeat([]byte(c), n) }
	m.objects = map[string][]byte{
		"/bucket/put": several("a", 200_000), "/bucket/large": several("b", 2<<20), "/bucket/plain": several("c", 200_000),
		"/bucket/opaque": several("d", 200_000), "/bucket/opaque-large": several("e", 2<<20),
		multipartPath: slices.Concat(several("f", envelope.MinPartSize), several("g", 200_000)),
	}
	for path, content := range m.objects {
		switch {
		case path == multipartPath:
			id, list := beginUpload(t, writer), ""
			for i, part := range [][]byte{content[:envelope.MinPartSize], content[envelope.MinPartSize:]} {
				resp, _ := mustAsk(t, writer, "PUT", fmt.Sprintf("%s?partNumber=%d&uploadId=%s", path, i+1, id), part)
				list += fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i+1, resp.Header.Get("Etag"))
			}
			mustAsk(t, writer, "POST", path+"?uploadId="+id, []byte("<CompleteMultipartUpload>"+list+"</CompleteMultipartUpload>"))
		case path == "/bucket/plain":
			m.fakeStore.objects[path] = fakeObject{http.Header{"Etag": {fmt.Sprintf(`"%x"`, md5.Sum(content))}}, content}
		case strings.HasPrefix(path, "/bucket/opaque"):
			mustAsk(t, opaque, "PUT", path, content)
		default:
			mustAsk(t, writer, "PUT", path, content)
		}
	}
	return m
}

// proxy is one that has seen nothing yet, with the keys of all others.
func (m *matchedReads) proxy(t *testing.T, mode object.ETagMode, skipRangeCheck bool) *httptest.Server {
	t.Helper()
	c := m.config
	c.Default.ETag, c.Default.SkipRangeCheck = mode, skipRangeCheck
	s := httptest.NewServer(New(c))
	t.Cleanup(s.Close)
	return s
}

// matchedWays are ways to read an object; from and to bound the bytes that come, of an object of size bytes.
var matchedWays = []struct {
	name, rng string
	from, to  func(size int) int
}{
	{"the whole", "", at(0), fromEnd(0)},
	{"a first range", "bytes=0-9", at(0), at(10)},
	{"a range in the middle", "bytes=70000-70009", at(70000), at(70010)},
	{"a range to the end", "bytes=190000-", at(190000), fromEnd(0)},
	{"a suffix", "bytes=-5", fromEnd(5), fromEnd(0)},
	{"nothing", "bytes=9000000-", nil, nil},
}

func at(n int) func(int) int      { return func(int) int { return n } }
func fromEnd(n int) func(int) int { return func(size int) int { return size - n } }

// TestAReadIsOfTheObjectWhoseETagTheClientNames: whatever a proxy has seen before, and wherever it looks.
func TestAReadIsOfTheObjectWhoseETagTheClientNames(t *testing.T) {
	t.Parallel()
	m := newMatchedReads(t)
	for path, content := range m.objects {
		head, _ := mustAsk(t, m.proxy(t, object.ETagMD5, false), "HEAD", path, nil)
		own, other := head.Header.Get("Etag"), `"00000000000000000000000000000000"`
		if isMD5 := own == fmt.Sprintf(`"%x"`, md5.Sum(content)); isMD5 == (path == multipartPath || strings.HasPrefix(path, "/bucket/opaque")) {
			t.Fatalf("%s has the ETag %s", path, own)
		}
		for _, c := range []struct {
			status  int // 200: the bytes
			headers []string
		}{
			{200, []string{"If-Match", own}}, {412, []string{"If-Match", other}}, {200, []string{"If-Match", other + ", " + own}},
			{304, []string{"If-None-Match", own}}, {200, []string{"If-None-Match", other}},
			{304, []string{"If-Match", own, "If-None-Match", own}}, {412, []string{"If-Match", other, "If-None-Match", other}},
			{412, []string{"If-None-Match", other, "If-Unmodified-Since", "Mon, 02 Jan 1995 00:00:00 GMT"}},
			{304, []string{"If-Match", own, "If-Modified-Since", "Mon, 02 Jan 2006 00:00:00 GMT"}},
		} {
			for _, way := range matchedWays {
				for _, skip := range []bool{false, true} {
					if skip && path != "/bucket/put" && path != "/bucket/opaque" {
						continue
					}
					s := m.proxy(t, object.ETagMD5, skip)
					for _, time := range []string{"cold", "warm"} {
						if time == "warm" {
							ask(t, s, "GET", path, nil, "Range", "bytes=-1")
						}
						headers := c.headers
						if way.rng != "" {
							headers = append([]string{"Range", way.rng}, headers...)
						}
						resp, got := ask(t, s, "GET", path, nil, headers...)
						want, bytes := c.status, ""
						switch {
						case want != 200:
						case way.from == nil:
							want = 416
						default:
							bytes = string(content[way.from(len(content)):way.to(len(content))])
							if way.rng != "" {
								want = 206
							}
						}
						if resp.StatusCode != want || want < 300 && (got != bytes || resp.Header.Get("Etag") != own) {
							t.Errorf("%s, %s, %s, skip %t, %q: %s with %d bytes, ETag %s, want %d", path, way.name, time, skip, c.headers, resp.Status, len(got), resp.Header.Get("Etag"), want)
						}
					}
				}
			}
		}
	}
}

// TestAnObjectThatWasReplacedIsNotTheOneThatWasSeen: another proxy has written since.
func TestAnObjectThatWasReplacedIsNotTheOneThatWasSeen(t *testing.T) {
	t.Parallel()
	m := newMatchedReads(t)
	s, writer := m.proxy(t, object.ETagMD5, false), m.proxy(t, object.ETagMD5, false)
	for path, content := range m.objects {
		if path == "/bucket/plain" {
			continue
		}
		seen, _ := mustAsk(t, s, "GET", path, nil, "Range", "bytes=70000-70009")
		old := seen.Header.Get("Etag")
		fresh := bytes.Repeat([]byte("X"), len(content))
		written, _ := mustAsk(t, writer, "PUT", path, fresh)
		for _, c := range []struct {
			status  int
			headers []string
		}{{412, []string{"If-Match", old}}, {206, []string{"If-None-Match", old}}, {206, []string{"If-Match", written.Header.Get("Etag")}}, {412, []string{"If-Match", old}}} {
			for _, rng := range []string{"bytes=70000-70009", "bytes=-10"} {
				resp, got := ask(t, s, "GET", path, nil, append(c.headers, "Range", rng)...)
				if resp.StatusCode != c.status || c.status == 206 && got != "XXXXXXXXXX" {
					t.Errorf("%s, %s, %q: %s %.20q, want %d", path, rng, c.headers, resp.Status, got, c.status)
				}
			}
		}
	}
}

// TestNamingAnETagCostsTheStoreNoRequest counts what it is asked in mode md5.
func TestNamingAnETagCostsTheStoreNoRequest(t *testing.T) {
	t.Parallel()
	m := newMatchedReads(t)
	for _, c := range []struct {
		path, query, rng string
		cold, warm       int
	}{
		{"/bucket/put", "", "", 1, 1}, {"/bucket/large", "", "", 2, 1}, {"/bucket/opaque-large", "", "", 2, 1}, {multipartPath, "", "", 2, 1},
		{"/bucket/put", "", "bytes=70000-70009", 2, 1}, {"/bucket/opaque", "", "bytes=70000-70009", 2, 1}, {multipartPath, "", "bytes=70000-70009", 2, 1},
		{multipartPath, "", "bytes=5242875-5242999", 2, 1}, {multipartPath, "?partNumber=1", "", 0, 1}, {multipartPath, "?partNumber=2", "", 0, 1}, {multipartPath, "", "bytes=-9", 0, 1},
	} {
		head, _ := mustAsk(t, m.proxy(t, object.ETagMD5, false), "HEAD", c.path, nil)
		s := m.proxy(t, object.ETagMD5, false)
		headers := []string{"If-Match", head.Header.Get("Etag")}
		if c.rng != "" {
			headers = append(headers, "Range", c.rng)
		}
		for i, most := range []int{c.cold, c.warm} {
			m.fakeStore.mu.Lock()
			m.asked = nil
			m.fakeStore.mu.Unlock()
			mustAsk(t, s, "GET", c.path+c.query, nil, headers...)
			if n := m.count("GET "+c.path) + m.count("HEAD "+c.path); most != 0 && n != most {
				t.Errorf("%s%s %s, time %d: %d requests, want %d: %q", c.path, c.query, c.rng, i+1, n, most, m.asked)
			}
		}
		if c.rng == "" {
			continue
		}
		m.fakeStore.mu.Lock()
		m.asked = nil
		m.fakeStore.mu.Unlock()
		mustAsk(t, s, "GET", c.path, nil, "If-None-Match", `"00000000000000000000000000000000"`, "Range", c.rng)
		if n := m.count("GET "+c.path) + m.count("HEAD "+c.path); n != 1 {
			t.Errorf("%s %s with If-None-Match: %d requests: %q", c.path, c.rng, n, m.asked)
		}
	}
}
