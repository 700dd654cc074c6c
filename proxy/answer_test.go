package proxy

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// Lists are written into memory that is used again.
func TestAListHasNothingOfAnothersList(t *testing.T) {
	t.Parallel()
	f := &fakeStore{hook: func(w http.ResponseWriter, r *http.Request) bool {
		prefix := r.URL.Query().Get("prefix")
		if prefix == "" {
			return false
		}
		fmt.Fprint(w, "<ListBucketResult>")
		for i := range 100 * len(prefix) {
			fmt.Fprintf(w, "<Contents><Key>%s/%d</Key><Size>5000</Size></Contents>", prefix, i)
		}
		fmt.Fprint(w, "</ListBucketResult>")
		return true
	}}
	s := proxyBefore(t, f, "us-east-1")
	var group errgroup.Group
	for client := range 8 {
		prefix := strings.Repeat(string(rune('a'+client)), client+1)
		group.Go(func() error {
			for range 10 {
				_, page := ask(t, s, "GET", "/bucket?list-type=2&prefix="+prefix, nil)
				if whole, of := strings.Count(page, "<Contents>"), strings.Count(page, "<Key>"+prefix+"/"); whole != 100*len(prefix) || of != whole || !strings.HasSuffix(page, "</ListBucketResult>") {
					return fmt.Errorf("below %s are %d objects, %d of them its own", prefix, whole, of)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

// Of HTTP/2 a connection may still send what a handler has written, when that has ended.
func TestDocumentsOverHTTP2AreNotWrittenIntoMemoryThatIsUsedAgain(t *testing.T) {
	for major, again := range map[int]bool{1: true, 2: false} {
		memory := []byte(nil)
		documentMemory.Put(&memory)
		w := &sentMemory{}
		x := &response{w: newAnswer(w, "id"), noted: &noted{}, overHTTP1: major == 1}
		if err := x.answerXML(&s3xml.ListObjects{}); err != nil {
			t.Fatal(err)
		}
		if cleared := w.body[0] == 0; cleared != again {
			t.Errorf("HTTP/%d: the memory is cleared for another: %t", major, cleared)
		}
	}
}

// sentMemory keeps what was written last, without a copy.
type sentMemory struct{ body []byte }

func (s *sentMemory) Header() http.Header         { return http.Header{} }
func (s *sentMemory) WriteHeader(int)             {}
func (s *sentMemory) Write(p []byte) (int, error) { s.body = p; return len(p), nil }
