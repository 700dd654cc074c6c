package proxy

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
	"github.com/s3proxy/s3proxy/test/lab"
)

// countedStore is a proxy before a store whose requests are counted.
type countedStore struct {
	*httptest.Server
	store  *upstream.Client
	counts atomic.Int64
}

// page, if not 0, is how many entries the proxy asks the store for at once.
func countRequests(t *testing.T, store *lab.Store, page int) *countedStore {
	t.Helper()
	c := &countedStore{}
	p := before(t, inFront(t, store, func(http.ResponseWriter, *http.Request) bool { c.counts.Add(1); return false }))
	if page > 0 {
		p.uploads.Page = page
	}
	c.Server = httptest.NewServer(p)
	t.Cleanup(c.Close)
	c.store = before(t, store).others.Upstream
	mustAsk(t, c.Server, "PUT", "/bucket", nil)
	return c
}

// during counts the requests to the store and the time of what it does.
func (c *countedStore) during(do func()) (requests int64, took time.Duration) {
	before, start := c.counts.Load(), time.Now()
	do()
	return c.counts.Load() - before, time.Since(start)
}

// sendParts sends small parts of these numbers, many at once, and gives the last one's ETag.
func (c *countedStore) sendParts(t *testing.T, id string, first, last int) (etag string) {
	t.Helper()
	var group errgroup.Group
	group.SetLimit(16)
	for n := first; n <= last; n++ {
		group.Go(func() error {
			resp, text := ask(t, c.Server, "PUT", fmt.Sprintf("/bucket/k?partNumber=%d&uploadId=%s", n, id), []byte("part"))
			if n == last {
				etag = resp.Header.Get("Etag")
			}
			if resp.StatusCode != 200 {
				return fmt.Errorf("part %d: %s %s", n, resp.Status, text)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return etag
}

// listAll lists all parts by pages of most, and gives their numbers.
func listAll(t *testing.T, s *httptest.Server, id string, most int) (numbers []int) {
	t.Helper()
	for marker := "0"; ; {
		_, page := mustAsk(t, s, "GET", fmt.Sprintf("/bucket/k?uploadId=%s&max-parts=%d&part-number-marker=%s", id, most, marker), nil)
		on := strings.Split(page, "<PartNumber>")[1:]
		for _, text := range on {
			text, _, _ = strings.Cut(text, "<")
			numbers = append(numbers, must(strconv.Atoi(text)))
		}
		if len(on) > most {
			t.Fatalf("a page of %d parts has %d", most, len(on))
		}
		if !strings.Contains(page, "<IsTruncated>true") {
			return numbers
		}
		_, marker, _ = strings.Cut(page, "<NextPartNumberMarker>")
		marker, _, _ = strings.Cut(marker, "<")
	}
}

func TestWhatPartsCostGrowsWithTheirNumberAndNoFaster(t *testing.T) {
	t.Parallel()
	for name, start := range stores {
		t.Run(name, func(t *testing.T) {
			c := countRequests(t, start(t), 10)
			id := beginUpload(t, c.Server)
			var cost [3]int64
			for i := 1; i <= 2; i++ {
				c.sendParts(t, id, 40*(i-1)+1, 40*i)
				var numbers []int
				cost[i], _ = c.during(func() { numbers = listAll(t, c.Server, id, 10) })
				for at, number := range numbers {
					if number != at+1 || len(numbers) != 40*i {
						t.Fatalf("of %d parts are listed: %v", 40*i, numbers)
					}
				}
			}
			if cost[2] > 3*cost[1] {
				t.Errorf("40 parts cost %d requests to the store, and 80 cost %d", cost[1], cost[2])
			}
			last := c.sendParts(t, id, 10_000, 10_000)
			if n, _ := c.during(func() { mustAsk(t, c.Server, "POST", "/bucket/k?uploadId="+id, completeDocument(10_000, last)) }); n > 12 {
				t.Errorf("to complete part 10,000 alone, beside 80 others, costs %d requests to the store", n)
			}
			if _, got := mustAsk(t, c.Server, "GET", "/bucket/k", nil); got != "part" {
				t.Errorf("the object is %q", got)
			}
		})
	}
}

func TestPartsAreListedInOrderHoweverFarTheyAreApart(t *testing.T) {
	t.Parallel()
	for name, start := range stores {
		t.Run(name, func(t *testing.T) {
			c := countRequests(t, start(t), 10)
			id := beginUpload(t, c.Server)
			sent := []int{1, 2, 9, 10, 11, 19, 20, 99, 100, 101, 110, 199, 999, 1000, 1001, 1010, 2000, 9998, 9999, 10_000}
			for _, number := range sent {
				c.sendParts(t, id, number, number)
			}
			for _, most := range []int{1, 3, 7, 19, 20, 1000} {
				if got := listAll(t, c.Server, id, most); !slices.Equal(got, sent) {
					t.Errorf("by pages of %d: %v", most, got)
				}
			}
		})
	}
}

func completeDocument(number int, etag string) []byte {
	return fmt.Appendf(nil, "<CompleteMultipartUpload><Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part></CompleteMultipartUpload>", number, strings.ReplaceAll(etag, `"`, "&quot;"))
}

// TestWhatManyPartsCost measures beside the store itself, of S3PROXY_TEST_PARTS parts
// ("1000 2000 4000").
func TestWhatManyPartsCost(t *testing.T) {
	t.Parallel()
	sizes := strings.Fields(os.Getenv("S3PROXY_TEST_PARTS"))
	if len(sizes) == 0 {
		return // it measures, and proves nothing
	}
	c := countRequests(t, lab.MinIO(t), 0)
	id := beginUpload(t, c.Server)
	u := &upstream.Upload{Client: c.store, Bucket: bucketNamed("bucket"), Key: keyNamed("direct")}
	if _, err := u.Begin(t.Context(), http.Header{}); err != nil {
		t.Fatal(err)
	}
	sent := 0
	var last, lastDirect string
	for _, size := range sizes {
		n := must(strconv.Atoi(size))
		last = c.sendParts(t, id, sent+1, n)
		var group errgroup.Group
		group.SetLimit(16)
		for number := sent + 1; number <= n; number++ {
			group.Go(func() error {
				etag, err := u.Part(t.Context(), number, &upstream.Request{Bytes: []byte("part")})
				if number == n {
					lastDirect = etag
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		sent = n
		requests, took := c.during(func() {
			if got := len(listAll(t, c.Server, id, 1000)); got != n {
				t.Errorf("%d parts listed of %d", got, n)
			}
		})
		start := time.Now()
		q := map[string][]string{"max-parts": {"1000"}}
		for marker := 0; ; {
			page := s3xml.ListParts{}
			q["part-number-marker"] = []string{strconv.Itoa(marker)}
			if _, err := c.store.GetXML(t.Context(), &upstream.Request{Bucket: u.Bucket, Key: u.Key, UploadID: u.ID, Query: q}, &page); err != nil {
				t.Fatal(err)
			}
			if !page.IsTruncated {
				break
			}
			marker = page.NextPartNumberMarker
		}
		t.Logf("%d parts: all listed by pages of 1000 in %.2f s with %d requests to the store; direct in %.2f s", n, took.Seconds(), requests, time.Since(start).Seconds())
	}
	requests, took := c.during(func() { mustAsk(t, c.Server, "POST", "/bucket/k?uploadId="+id, completeDocument(sent, last)) })
	list := s3xml.CompleteUpload{Xmlns: s3xml.Namespace}
	list.Add(sent, lastDirect)
	start := time.Now()
	if _, _, err := u.Complete(t.Context(), list, http.Header{}); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d parts: completed of the last alone in %.2f s with %d requests to the store; direct in %.2f s", sent, took.Seconds(), requests, time.Since(start).Seconds())
}
