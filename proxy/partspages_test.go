package proxy

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/kms/localfile"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// The records of one page are spread over the names of all, which are read once.
func TestPagesOfPartsReadTheRecordsOnce(t *testing.T) {
	t.Parallel()
	for name, start := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := countRequests(t, start(t), 10)
			id := beginUpload(t, c.Server)
			const parts = 120
			c.sendParts(t, id, 1, parts)
			var numbers []int
			requests, _ := c.during(func() { numbers = listAll(t, c.Server, id, 10) })
			if len(numbers) != parts || !slices.IsSorted(numbers) {
				t.Errorf("listed are %v", numbers)
			}
			const pages = parts / 10
			if most := int64(2*pages + 4); requests > most { // the store's pages, those of the records, and part 10,000
				t.Errorf("%d pages cost %d requests to the store, want at most %d", pages, requests, most)
			}
		})
	}
}

// What a replica has read of an upload does not hide what another one sent since.
func TestPagesOfPartsShowWhatAnotherReplicaHasSent(t *testing.T) {
	t.Parallel()
	for name, start := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, keyset := start(t), filepath.Join(t.TempDir(), "keyset.json")
			if err := localfile.Create(keyset); err != nil {
				t.Fatal(err)
			}
			var replicas [2]*countedStore
			for i := range replicas {
				p := beforeKey(t, store, upstream.PayloadChecked, must(localfile.Open(keyset)))
				p.uploads.Page = 10
				replicas[i] = &countedStore{Server: httptest.NewServer(p)}
				t.Cleanup(replicas[i].Close)
			}
			first, second := replicas[0], replicas[1]
			mustAsk(t, first.Server, "PUT", "/bucket", nil)
			id := beginUpload(t, first.Server)
			first.sendParts(t, id, 1, 30)
			page := func(marker int) string {
				_, text := mustAsk(t, first.Server, "GET", fmt.Sprintf("/bucket/k?uploadId=%s&max-parts=10&part-number-marker=%d", id, marker), nil)
				return text
			}
			page(0)
			again, _ := mustAsk(t, second.Server, "PUT", "/bucket/k?partNumber=15&uploadId="+id, []byte("sent again"))
			second.sendParts(t, id, 31, 31)
			etag := strings.Trim(again.Header.Get("Etag"), `"`)
			if text := page(10); !strings.Contains(text, etag) || !strings.Contains(text, "<Size>10</Size>") {
				t.Errorf("part 15 was sent again with the ETag %s, and listed is %s", etag, text)
			}
			if text := page(30); !strings.Contains(text, "<PartNumber>31</PartNumber>") {
				t.Errorf("part 31 is not listed: %s", text)
			}
			mustAsk(t, second.Server, "DELETE", "/bucket/k?uploadId="+id, nil)
			if resp, text := ask(t, first.Server, "GET", "/bucket/k?uploadId="+id, nil); resp.StatusCode != http.StatusNotFound {
				t.Errorf("the parts of an upload that was aborted: %s %s", resp.Status, text)
			}
		})
	}
}
