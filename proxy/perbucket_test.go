package proxy

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3name"
)

// Strangers name as many buckets as they like: the store is asked for few at once, and the others
// wait no longer than an answer does.
func TestFewBucketsAreLookedAtAtOnce(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int64
	c := newPerBucket(10, time.Minute, 50*time.Millisecond, func(ctx context.Context, _ *object.Objects, _ s3name.Bucket) (int, error) {
		n := now.Add(1)
		defer now.Add(-1)
		for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
		}
		<-ctx.Done()
		return 0, ctx.Err()
	}, func(error) bool { return false })
	var waits []func() (int, error)
	for i := range 10 * maxLooks {
		bucket, err := s3name.ParseBucket(fmt.Sprintf("bucket-%d", i))
		if err != nil {
			t.Fatal(err)
		}
		waits = append(waits, c.begin(nil, bucket))
	}
	for _, wait := range waits {
		if _, err := wait(); err == nil {
			t.Error("a look that was never made has a result")
		}
	}
	if most.Load() > maxLooks || most.Load() == 0 {
		t.Errorf("%d buckets were looked at at once", most.Load())
	}
	if len(c.looks) != 0 {
		t.Errorf("%d places are not given back", len(c.looks))
	}
}

// A bucket's default encryption is a label of answers. When nobody looks it up in time, S3's default
// stands in, and nothing ends but the wait.
func TestABusyStoreLeavesTheDefaultEncryption(t *testing.T) {
	t.Parallel()
	hangs := &fakeStore{hook: func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/"+encryptionName) {
			<-r.Context().Done()
			return true
		}
		w.Header().Set("ETag", `"e"`)
		return true
	}}
	s := proxyBefore(t, hangs, "us-east-1")
	var all sync.WaitGroup
	for i := range 3 * maxLooks {
		all.Go(func() {
			resp, _ := ask(t, s, http.MethodPut, fmt.Sprintf("/bucket-%d/k", i), []byte("content"))
			if got := resp.Header.Get("X-Amz-Server-Side-Encryption"); resp.StatusCode != http.StatusOK || got != sseKMS {
				t.Errorf("%s, encrypted with %q", resp.Status, got)
			}
		})
	}
	all.Wait()
}
