package proxy

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// beginUpload begins one of /bucket/k.
func beginUpload(t *testing.T, s *httptest.Server) (id string) {
	t.Helper()
	var begun s3xml.CreateUploadResult
	resp, body := ask(t, s, "POST", "/bucket/k?uploads", nil)
	if err := xml.Unmarshal([]byte(body), &begun); err != nil {
		t.Fatalf("%s: %s", resp.Status, body)
	}
	return begun.UploadID
}

// listOf is Complete's document for part 1.
func listOf(etag string) []byte {
	return fmt.Appendf(nil, "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>%s</ETag></Part></CompleteMultipartUpload>", etag)
}

func TestAStoreThatGivesTwoSendingsOneETagCannotExchangeThem(t *testing.T) {
	t.Parallel()
	f := newPartStore(func(number, _ int) string { return fmt.Sprintf("%032x", number) })
	f.keep = func(number, sent int) bool { return sent == 0 || number != 1 }
	s := proxyBefore(t, f.fakeStore, "us-east-1")
	first, second := bytes.Repeat([]byte("old!"), envelope.MinPartSize/4), bytes.Repeat([]byte("new."), envelope.MinPartSize/4)
	for range 8 { // which record comes first is by chance
		id := beginUpload(t, s)
		part := "/bucket/k?partNumber=1&uploadId=" + id
		one, _ := ask(t, s, "PUT", part, first)
		two, _ := ask(t, s, "PUT", part, second)
		if one.Header.Get("Etag") == two.Header.Get("Etag") {
			t.Fatalf("both sendings are %s", two.Header.Get("Etag"))
		}
		if resp, body := ask(t, s, "POST", "/bucket/k?uploadId="+id, listOf(two.Header.Get("Etag"))); resp.StatusCode != 200 {
			t.Fatalf("Complete: %s %s", resp.Status, body)
		}
		if resp, body := ask(t, s, "GET", "/bucket/k", nil); strings.Contains(body, "old!") || resp.StatusCode == 200 {
			t.Fatalf("%s: %.40q of the sending that was replaced", resp.Status, body)
		}
		id = beginUpload(t, s)
		part = "/bucket/k?partNumber=1&uploadId=" + id
		one, _ = ask(t, s, "PUT", part, first)
		ask(t, s, "PUT", part, second)
		if resp, body := ask(t, s, "POST", "/bucket/k?uploadId="+id, listOf(one.Header.Get("Etag"))); resp.StatusCode != 200 {
			t.Fatalf("Complete with the sending that the store has: %s %s", resp.Status, body)
		}
		if resp, body := ask(t, s, "GET", "/bucket/k", nil); body != string(first) {
			t.Fatalf("%s: %.40q", resp.Status, body)
		}
	}
}

func TestCompleteTakesNoETagOfTheStores(t *testing.T) {
	t.Parallel()
	f := newPartStore(func(number, _ int) string { return fmt.Sprintf("%032x", number) })
	s := proxyBefore(t, f.fakeStore, "us-east-1")
	id := beginUpload(t, s)
	sent, _ := ask(t, s, "PUT", "/bucket/k?partNumber=1&uploadId="+id, []byte("small"))
	shown := sent.Header.Get("Etag")
	if bare, ok := strings.CutSuffix(strings.Trim(shown, `"`), object.OpaqueSuffix); !ok || len(bare) != 32 {
		t.Errorf("the part's ETag is %s", shown)
	}
	for _, etag := range []string{fmt.Sprintf("%032x", 1), fmt.Sprintf(`"%032x"`, 1), fmt.Sprintf(`"%032x-0"`, 1), `""`, `"*"`} {
		if resp, body := ask(t, s, "POST", "/bucket/k?uploadId="+id, listOf(etag)); resp.StatusCode != 400 || !strings.Contains(body, "InvalidPart") {
			t.Errorf("%s: %s %s", etag, resp.Status, body)
		}
	}
	_, list := ask(t, s, "GET", "/bucket/k?uploadId="+id, nil)
	if !strings.Contains(list, strings.Trim(shown, `"`)) {
		t.Errorf("ListParts does not show %s: %s", shown, list)
	}
	for _, etag := range []string{shown, strings.TrimSuffix(strings.Trim(shown, `"`), object.OpaqueSuffix)} { // the second again, from the object
		if resp, body := ask(t, s, "POST", "/bucket/k?uploadId="+id, listOf(etag)); resp.StatusCode != 200 {
			t.Errorf("%s: %s %s", etag, resp.Status, body)
		}
	}
	if resp, body := ask(t, s, "POST", "/bucket/k?uploadId="+id, listOf(fmt.Sprintf("%032x", 1))); resp.StatusCode != 404 {
		t.Errorf("a repeated Complete with another list: %s %s", resp.Status, body)
	}
}

func TestAPartThatWasRefusedLeavesNoRecord(t *testing.T) {
	t.Parallel()
	for _, size := range []int{envelope.MinPartSize + 1000, 1000} {
		for _, number := range []int{1, envelope.MaxParts} {
			f := newPartStore(func(int, int) string { return "e" })
			f.early = true
			s := proxyBefore(t, f.fakeStore, "us-east-1")
			id := beginUpload(t, s)
			inner := f.hook
			f.hook = func(w http.ResponseWriter, r *http.Request) bool {
				// The body of part 10,000 is an object of its own.
				return r.Method == "PUT" && strings.Contains(r.URL.Path, "/body-") || inner(w, r)
			}
			path := fmt.Sprintf("/bucket/k?partNumber=%d&uploadId=%s", number, id)
			resp, body := ask(t, s, "PUT", path, make([]byte, size), "Content-Md5", "AAAAAAAAAAAAAAAAAAAAAA==")
			if resp.StatusCode/100 == 2 {
				t.Errorf("part %d of %d bytes with another MD5: %s %s", number, size, resp.Status, body)
			}
			for path := range f.objects {
				if strings.Contains(path, fmt.Sprintf("/%d-", number)) {
					t.Errorf("part %d of %d bytes was refused and has the record %s", number, size, path)
				}
			}
		}
	}
}
