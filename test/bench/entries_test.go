package bench

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
)

// entriesEnv is how many objects, uploads and parts BenchmarkEntries lists.
const entriesEnv = "BENCH_ENTRIES"

// page takes what leads to the next page of any listing.
type page struct {
	UploadID             string `xml:"UploadId"`
	IsTruncated          bool
	NextContinuation     string `xml:"NextContinuationToken"`
	NextKeyMarker        string
	NextUploadIDMarker   string `xml:"NextUploadIdMarker"`
	NextVersionIDMarker  string `xml:"NextVersionIdMarker"`
	NextPartNumberMarker string
	Entries              []struct{} `xml:"Contents"`
	Versions             []struct{} `xml:"Version"`
	Uploads              []struct{} `xml:"Upload"`
	Parts                []struct {
		PartNumber int
		ETag       string
	} `xml:"Part"`
}

func (t *target) ask(b *testing.B, method, path string, body []byte) (p page) {
	b.Helper()
	resp, err := t.send(method, path, body)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 || strings.Contains(string(text), "<Error>") {
		b.Fatalf("%s %s: %s: %.300s, %v", method, path, resp.Status, text, err)
	}
	if len(text) > 0 && method != http.MethodPut {
		if err := xml.Unmarshal(text, &p); err != nil {
			b.Fatal(err)
		}
	}
	return p
}

// all goes through a listing to its end, and gives how many entries it has.
func (t *target) all(b *testing.B, path string) (n int) {
	b.Helper()
	for next := ""; ; {
		p := t.ask(b, http.MethodGet, path+next, nil)
		n += len(p.Entries) + len(p.Versions) + len(p.Uploads) + len(p.Parts)
		if !p.IsTruncated {
			return n
		}
		q := url.Values{}
		for name, value := range map[string]string{
			"continuation-token": p.NextContinuation, "key-marker": p.NextKeyMarker, "upload-id-marker": p.NextUploadIDMarker,
			"version-id-marker": p.NextVersionIDMarker, "part-number-marker": p.NextPartNumberMarker,
		} {
			if value != "" {
				q.Set(name, value)
			}
		}
		next = "&" + q.Encode()
	}
}

// BenchmarkEntries prints what listings of many entries, and the end of an upload of many
// parts, cost beside the same at the store itself: seconds, and requests to the store.
func BenchmarkEntries(b *testing.B) {
	n := 1000
	if text := os.Getenv(entriesEnv); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 {
			b.Fatalf("%s=%s is no number of entries", entriesEnv, text)
		}
	}
	store := lab.MinIO(b)
	var asked atomic.Int64
	to, err := url.Parse(store.URL)
	if err != nil {
		b.Fatal(err)
	}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host }}
	counter := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		forward.ServeHTTP(w, r)
	}))
	b.Cleanup(counter.Close)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}
	writer := lab.Proxy(b, lab.ProxyOptions{Upstream: store, Args: []string{"--log-level", "error", "--etag", "md5"}})
	through := func(name string, args ...string) *target {
		p := lab.Proxy(b, lab.ProxyOptions{Upstream: store, UpstreamURL: counter.URL, DataDir: writer.DataDir, Args: append([]string{"--log-level", "error"}, args...)})
		return &target{name, p.URL, lab.ClientAccessKey, lab.ClientSecretKey, client}
	}
	targets := []*target{
		{"direct", counter.URL, store.AccessKey, store.SecretKey, client},
		through("opaque"), through("md5", "--etag", "md5"),
	}
	write := &target{"writer", writer.URL, lab.ClientAccessKey, lab.ClientSecretKey, client}
	m := measured{asked: &asked, write: write, targets: targets}
	write.ask(b, http.MethodPut, "/entries", nil)
	fmt.Printf("\nseconds (requests to the store)\n%-36s", "")
	for _, t := range targets {
		fmt.Printf("%18s%18s", t.name, "again")
	}
	b.Run("objects", func(b *testing.B) { m.of(b).objects(n) })
	b.Run("parts", func(b *testing.B) { m.of(b).parts(min(n, 10_000)) })
	b.Run("full", func(b *testing.B) { m.of(b).fullParts(fullParts(b)) })
	b.Run("uploads", func(b *testing.B) { m.of(b).multipartUploads(n) })
	fmt.Println()
}

// measured prints a line for what all targets do.
type measured struct {
	b       *testing.B
	asked   *atomic.Int64
	write   *target
	targets []*target
}

func (m measured) sideBySide(n int, do func(i int) error) {
	m.b.Helper()
	if err := sideBySide(n, 16, do); err != nil {
		m.b.Fatal(err)
	}
}

// of is m in a benchmark of its own.
func (m measured) of(b *testing.B) measured {
	m.b = b
	return m
}

func (m measured) objects(n int) {
	m.sideBySide(n, func(i int) error {
		return m.write.do(http.MethodPut, fmt.Sprintf("/entries/o%06d", i), []byte(strconv.Itoa(i)))
	})
	m.lists(fmt.Sprintf("ListObjectsV2 of %d", n), "/entries?list-type=2&prefix=o", n)
	m.lists(fmt.Sprintf("ListObjectVersions of %d", n), "/entries?versions=&prefix=o", n)
}

// parts asks for pages of 1,000, as S3 gives them: MinIO's own are of 10,000.
func (m measured) parts(n int) {
	ids := m.uploads("parts", func(t *target, id string) {
		m.sideBySide(n, func(number int) error {
			return t.do(http.MethodPut, fmt.Sprintf("%s&partNumber=%d", id, number+1), []byte("x"))
		})
	})
	m.each(fmt.Sprintf("ListParts of %d", n), 2, func(i int, t *target) {
		if got := t.all(m.b, ids[i]+"&max-parts=1000"); got != n {
			m.b.Fatalf("%s lists %d parts of %d", t.name, got, n)
		}
	})
	m.complete("Complete of the last of them", ids, n-1)
}

func (m measured) fullParts(n int) {
	part := make([]byte, 5<<20)
	ids := m.uploads("full", func(t *target, id string) {
		for number := range n {
			if err := t.do(http.MethodPut, fmt.Sprintf("%s&partNumber=%d", id, number+1), part); err != nil {
				m.b.Fatal(err)
			}
		}
	})
	m.complete(fmt.Sprintf("Complete of %d parts of 5 MiB", n), ids, 0)
}

// uploads begins an upload by each target, and sends its parts.
func (m measured) uploads(key string, send func(t *target, id string)) (ids []string) {
	for _, t := range m.targets {
		path := "/entries/" + key + "-" + t.name
		id := path + "?uploadId=" + url.QueryEscape(t.ask(m.b, http.MethodPost, path+"?uploads=", nil).UploadID)
		send(t, id)
		ids = append(ids, id)
	}
	return ids
}

// multipartUploads are of one key: MinIO lists the uploads of the key that the prefix is.
func (m measured) multipartUploads(n int) {
	m.sideBySide(n, func(int) error { return m.write.do(http.MethodPost, "/entries/uploads?uploads=", nil) })
	m.lists(fmt.Sprintf("ListMultipartUploads of %d", n), "/entries?uploads=&prefix=uploads", n)
}

func (m measured) each(name string, times int, do func(i int, t *target)) {
	fmt.Printf("\n%-36s", name)
	for i, t := range m.targets {
		for range times {
			m.asked.Store(0)
			start := time.Now()
			do(i, t)
			fmt.Printf("%18s", fmt.Sprintf("%.2f (%d)", time.Since(start).Seconds(), m.asked.Load()))
		}
		fmt.Printf("%*s", 18*(2-times), "")
	}
}

// lists goes twice through a list that has n entries.
func (m measured) lists(name, path string, n int) {
	m.each(name, 2, func(_ int, t *target) {
		if got := t.all(m.b, path); got != n && t.name != "direct" {
			m.b.Fatalf("%s %s: %d entries, want %d", t.name, path, got, n)
		}
	})
}

// fullPartsEnv is how many parts of 5 MiB are completed.
const fullPartsEnv = "BENCH_FULL_PARTS"

func fullParts(b *testing.B) int {
	text := os.Getenv(fullPartsEnv)
	if text == "" {
		return 20
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		b.Fatalf("%s=%s is no number of parts", fullPartsEnv, text)
	}
	return n
}

// complete ends each target's upload with its parts behind a number.
func (m measured) complete(name string, uploads []string, after int) {
	documents := make([][]byte, len(uploads))
	for i, t := range m.targets {
		documents[i] = t.completion(m.b, uploads[i], after)
	}
	m.each(name, 1, func(i int, t *target) { t.ask(m.b, http.MethodPost, uploads[i], documents[i]) })
}

// completion is the document that ends an upload with its parts behind a number.
func (t *target) completion(b *testing.B, upload string, after int) []byte {
	b.Helper()
	list := []byte("<CompleteMultipartUpload>")
	for marker := strconv.Itoa(after); ; {
		page := t.ask(b, http.MethodGet, upload+"&part-number-marker="+marker, nil)
		for _, p := range page.Parts {
			list = fmt.Appendf(list, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", p.PartNumber, p.ETag)
		}
		if !page.IsTruncated {
			return append(list, "</CompleteMultipartUpload>"...)
		}
		marker = page.NextPartNumberMarker
	}
}
