package proxy

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/proxy/object"
)

// listAll answers a LIST of everything in the fake store's bucket, page by page.
func (f *fakeStore) listAll(w http.ResponseWriter, r *http.Request) bool {
	q := r.URL.Query()
	if r.Method != http.MethodGet || !q.Has("list-type") {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	fmt.Fprint(w, "<ListBucketResult>")
	listed, last := 0, ""
	for _, path := range slices.Sorted(maps.Keys(f.objects)) {
		key, ours := strings.CutPrefix(path, "/bucket/")
		if !ours || key <= q.Get("continuation-token") || key <= q.Get("start-after") {
			continue
		}
		if listed == maxKeys {
			fmt.Fprintf(w, "<IsTruncated>true</IsTruncated><NextContinuationToken>%s</NextContinuationToken>", last)
			break
		}
		o := f.objects[path]
		fmt.Fprintf(w, "<Contents><Key>%s</Key><ETag>%s</ETag><Size>%d</Size></Contents>", key, o.header.Get("Etag"), len(o.body))
		listed, last = listed+1, key
	}
	fmt.Fprint(w, "</ListBucketResult>")
	return true
}

func TestAListOfMoreObjectsThanTheCacheHoldsIsCheaperTheSecondTime(t *testing.T) {
	t.Parallel()
	const objects, held = 3000, 1500
	f := &fakeStore{}
	f.hook = f.listAll
	s := proxyBefore(t, f, "us-east-1")
	p := s.Config.Handler.(*Proxy)
	p.others.ETag = object.ETagMD5
	p.states = newStateCache(held)
	for n := range objects {
		if resp, text := ask(t, s, http.MethodPut, fmt.Sprintf("/bucket/k%05d", n), []byte(fmt.Sprint(n))); resp.StatusCode != http.StatusOK {
			t.Fatal(text)
		}
	}
	const again = 6
	var asked []int
	sum := 0
	for range 1 + again {
		before := f.count("HEAD /bucket/")
		if n := listed(t, s); n != objects {
			t.Fatalf("%d objects are listed", n)
		}
		asked = append(asked, f.count("HEAD /bucket/")-before)
		sum += asked[len(asked)-1]
	}
	t.Logf("of %d objects, %d held, LIST asked for %v", objects, held, asked)
	// The cache admits by chance: a single LIST may find few of those that it holds, an LRU none.
	if asked[0] != objects || sum-objects > again*(objects-held/3) {
		t.Errorf("the store was asked for %v objects by one LIST after the other", asked)
	}
	if n := p.states.states.EstimatedSize(); n > held+100 {
		t.Errorf("%d states are kept of at most %d", n, held)
	}
}

// listed counts what a whole LIST shows.
func listed(t *testing.T, s *httptest.Server) (objects int) {
	t.Helper()
	for after := ""; ; {
		resp, text := ask(t, s, http.MethodGet, "/bucket?list-type=2&start-after="+after, nil)
		if resp.StatusCode != http.StatusOK {
			t.Fatal(text)
		}
		keys := strings.Split(text, "<Key>")
		objects += len(keys) - 1
		if !strings.Contains(text, "<IsTruncated>true</IsTruncated>") {
			return objects
		}
		after, _, _ = strings.Cut(keys[len(keys)-1], "<")
	}
}
