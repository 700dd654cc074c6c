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

	"golang.org/x/sync/errgroup"

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

// sideBySide does n things, sixteen at a time.
func sideBySide(b *testing.B, n int, do func(i int) error) {
	b.Helper()
	var group errgroup.Group
	group.SetLimit(16)
	for i := range n {
		group.Go(func() error { return do(i) })
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
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
	write.ask(b, http.MethodPut, "/entries", nil)
	sideBySide(b, n, func(i int) error {
		return write.do(http.MethodPut, fmt.Sprintf("/entries/o%06d", i), []byte(strconv.Itoa(i)))
	})
	// Of one key: MinIO lists the uploads of the key that the prefix is.
	sideBySide(b, n, func(int) error { return write.do(http.MethodPost, "/entries/uploads?uploads=", nil) })
	parts := min(n, 10_000)
	id := write.ask(b, http.MethodPost, "/entries/parts?uploads=", nil).UploadID
	sideBySide(b, parts, func(i int) error {
		return write.do(http.MethodPut, fmt.Sprintf("/entries/parts?partNumber=%d&uploadId=%s", i+1, url.QueryEscape(id)), []byte("x"))
	})
	fmt.Printf("\n%d objects, %d uploads, %d parts; seconds (requests to the store)\n%-30s", n, n, parts, "")
	for _, t := range targets {
		fmt.Printf("%20s%20s", t.name, "again")
	}
	for _, c := range []struct{ name, path string }{
		{"ListObjectsV2", "/entries?list-type=2&prefix=o"}, {"ListObjectVersions", "/entries?versions=&prefix=o"},
		{"ListMultipartUploads", "/entries?uploads=&prefix=uploads"}, {"ListParts", "/entries/parts?uploadId=" + url.QueryEscape(id)},
	} {
		fmt.Printf("\n%-30s", c.name)
		for _, t := range targets {
			for range 2 {
				asked.Store(0)
				start := time.Now()
				got := t.all(b, c.path)
				fmt.Printf("%20s", fmt.Sprintf("%.2f (%d)", time.Since(start).Seconds(), asked.Load()))
				if want := map[bool]int{true: parts, false: n}[c.name == "ListParts"]; got != want && (c.name == "ListParts" || t.name != "direct") {
					b.Fatalf("%s %s: %d entries, want %d", t.name, c.name, got, want)
				}
			}
		}
	}
	tail := write.ask(b, http.MethodGet, fmt.Sprintf("/entries/parts?uploadId=%s&part-number-marker=%d", url.QueryEscape(id), parts-1), nil)
	last := fmt.Sprintf("<CompleteMultipartUpload><Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part></CompleteMultipartUpload>", parts, tail.Parts[0].ETag)
	asked.Store(0)
	start := time.Now()
	targets[2].ask(b, http.MethodPost, "/entries/parts?uploadId="+url.QueryEscape(id), []byte(last))
	fmt.Printf("\n%-30s%20s\n", "Complete of the last part", fmt.Sprintf("%.2f (%d)", time.Since(start).Seconds(), asked.Load()))
}
