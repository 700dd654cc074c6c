package proxy

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/s3proxy/s3proxy/kms/localfile"
	"github.com/s3proxy/s3proxy/proxy/upstream"
	"github.com/s3proxy/s3proxy/test/lab"
)

// twoReplicas are proxies with one key before one store; hook sees the requests of the first.
func twoReplicas(t *testing.T, store *lab.Store, hook func(http.ResponseWriter, *http.Request) bool) (first, second *httptest.Server) {
	t.Helper()
	keyset := filepath.Join(t.TempDir(), "keyset.json")
	if err := localfile.Create(keyset); err != nil {
		t.Fatal(err)
	}
	kek := must(localfile.Open(keyset))
	first = httptest.NewServer(beforeKey(t, inFront(t, store, hook), upstream.PayloadChecked, kek))
	t.Cleanup(first.Close)
	second = httptest.NewServer(beforeKey(t, store, upstream.PayloadChecked, kek))
	t.Cleanup(second.Close)
	mustAsk(t, second, "PUT", "/bucket", nil)
	return first, second
}

// smallUpload gives the id of an upload of one small part, and the list that completes it.
func smallUpload(t *testing.T, s *httptest.Server) (id string, list []byte) {
	t.Helper()
	id = beginUpload(t, s)
	part, _ := mustAsk(t, s, "PUT", "/bucket/k?partNumber=1&uploadId="+id, []byte("part"))
	return id, listOf(part.Header.Get("Etag"))
}

// Another replica takes the state away, and a client overwrites the object, before this one
// has looked at what it made.
func TestACompleteThatMadeTheObjectSucceedsWhateverComesBehindIt(t *testing.T) {
	t.Parallel()
	for name, start := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var armed atomic.Bool
			var id string
			var list []byte
			var first, second *httptest.Server
			first, second = twoReplicas(t, start(t), func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodHead && r.URL.Path == "/bucket/k" && armed.CompareAndSwap(true, false) {
					if resp, text := ask(t, second, "POST", "/bucket/k?uploadId="+id, list); resp.StatusCode != 200 {
						t.Errorf("the other replica: %s %s", resp.Status, text)
					}
					ask(t, second, "PUT", "/bucket/k", []byte("overwritten"))
				}
				return false
			})
			id, list = smallUpload(t, first)
			armed.Store(true)
			resp, text := ask(t, first, "POST", "/bucket/k?uploadId="+id, list)
			if resp.StatusCode != 200 || !strings.Contains(text, "<CompleteMultipartUploadResult") {
				t.Errorf("Complete: %s %s", resp.Status, text)
			}
			if _, got := ask(t, second, "GET", "/bucket/k", nil); got != "overwritten" || armed.Load() {
				t.Errorf("the object is %q, armed %v", got, armed.Load())
			}
		})
	}
}

func TestACompleteThatIsRepeatedWhileItsObjectIsOverwrittenIsNoSuchUploadAtOnce(t *testing.T) {
	t.Parallel()
	for name, start := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var armed atomic.Bool
			var first, second *httptest.Server
			first, second = twoReplicas(t, start(t), func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodGet && r.URL.Path == "/bucket/k" && armed.CompareAndSwap(true, false) {
					ask(t, second, "PUT", "/bucket/k", []byte("overwritten"))
				}
				return false
			})
			id, list := smallUpload(t, second)
			mustAsk(t, second, "POST", "/bucket/k?uploadId="+id, list)
			armed.Store(true)
			if resp, text := ask(t, first, "POST", "/bucket/k?uploadId="+id, list); resp.StatusCode != 404 || !strings.Contains(text, "NoSuchUpload") || armed.Load() {
				t.Errorf("Complete: %s %s, armed %v", resp.Status, text, armed.Load())
			}
		})
	}
}

func TestCompletesAtOnceAndRepeatedThroughAnotherReplicaAreOneObject(t *testing.T) {
	t.Parallel()
	for name, start := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second := twoReplicas(t, start(t), func(http.ResponseWriter, *http.Request) bool { return false })
			for range 5 {
				id, list := smallUpload(t, first)
				tags := make([]string, 4)
				complete := func(i int, s *httptest.Server) {
					resp, text := ask(t, s, "POST", "/bucket/k?uploadId="+id, list)
					if resp.StatusCode != 200 {
						t.Errorf("Complete %d: %s %s", i, resp.Status, text)
					}
					_, tags[i], _ = strings.Cut(text, "<ETag>")
					tags[i], _, _ = strings.Cut(tags[i], "<")
				}
				if name == "versitygw" { // of two at once it may make an object without metadata (docs/S3.md)
					complete(0, first)
					complete(1, second)
				} else {
					var both sync.WaitGroup
					both.Go(func() { complete(0, first) })
					both.Go(func() { complete(1, second) })
					both.Wait()
				}
				complete(2, first)
				complete(3, second)
				resp, got := ask(t, second, "GET", "/bucket/k", nil)
				for i, tag := range tags {
					if strings.ReplaceAll(tag, "&#34;", `"`) != resp.Header.Get("Etag") || got != "part" {
						t.Errorf("Complete %d gave the ETag %s; the object %q has %s", i, tag, got, resp.Header.Get("Etag"))
					}
				}
			}
		})
	}
}
