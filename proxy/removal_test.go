package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// MinIO takes a second to remove the records of 1,000 parts. The client does not wait for it, and the
// upload is gone for everybody when it has its answer.
func TestACompleteIsAnsweredBeforeItsManyRecordsAreGone(t *testing.T) {
	t.Parallel()
	for name, start := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := start(t)
			released := make(chan struct{})
			release := sync.OnceFunc(func() { close(released) })
			defer release()
			var held, listDenied atomic.Bool
			p := before(t, inFront(t, store, func(w http.ResponseWriter, r *http.Request) bool {
				if listDenied.Load() && r.Method == http.MethodGet && r.URL.Query().Has("uploadId") {
					w.WriteHeader(http.StatusForbidden)
					io.WriteString(w, "<Error><Code>AccessDenied</Code></Error>")
					return true
				}
				if r.URL.Query().Has("delete") && r.ContentLength > 2000 && held.CompareAndSwap(false, true) { // more than the key
					<-released
				}
				return false
			}))
			c := &countedStore{Server: httptest.NewServer(p)}
			t.Cleanup(c.Close)
			mustAsk(t, c.Server, "PUT", "/bucket", nil)
			id := beginUpload(t, c.Server)
			const parts = 150
			last := c.sendParts(t, id, 1, parts)

			complete := func() {
				var late atomic.Bool
				defer time.AfterFunc(10*time.Second, func() { late.Store(true); release() }).Stop()
				if _, text := mustAsk(t, c.Server, "POST", "/bucket/k?uploadId="+id, completeDocument(parts, last)); !strings.Contains(text, "<CompleteMultipartUploadResult") || late.Load() {
					t.Errorf("the answer waited for the records: %t; it is %s", late.Load(), text)
				}
			}
			complete()
			for path, method := range map[string]string{
				"/bucket/k?partNumber=1&uploadId=" + id: "PUT", "/bucket/k?partNumber=10000&uploadId=" + id: "PUT", "/bucket/k?uploadId=" + id: "GET",
			} {
				if resp, text := ask(t, c.Server, method, path, []byte("part")); resp.StatusCode != http.StatusNotFound || !strings.Contains(text, "NoSuchUpload") {
					t.Errorf("%s %s of the completed upload: %s %s", method, path, resp.Status, text)
				}
			}
			complete()
			listDenied.Store(true) // MinIO answers 204 to an Abort of any upload
			if resp, text := ask(t, c.Server, "DELETE", "/bucket/k?uploadId="+id, nil); resp.StatusCode != http.StatusNotFound || !strings.Contains(text, "NoSuchUpload") {
				t.Errorf("Abort of the completed upload by a client who may not list its parts: %s %s", resp.Status, text)
			}
			listDenied.Store(false)
			soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if err := p.Finish(soon); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a process that ends does not wait while records are being removed: %v", err)
			}
			release()
			if err := p.Finish(t.Context()); err != nil {
				t.Error(err)
			}
			left := must(before(t, store).others.Upstream.ListAny(t.Context(), upstream.Request{Bucket: bucketNamed("bucket")}, ".s3proxy/uploads/", "", 10))
			if n := len(left.Entries()); n != 0 {
				t.Errorf("%d state objects are left", n)
			}
			if resp, text := ask(t, c.Server, "DELETE", "/bucket/k?uploadId="+id, nil); resp.StatusCode != http.StatusNotFound || !strings.Contains(text, "NoSuchUpload") {
				t.Errorf("Abort of the completed upload: %s %s", resp.Status, text)
			}
		})
	}
}
