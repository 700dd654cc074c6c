package proxy

import (
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/proxy/multipart"
	"github.com/s3proxy/s3proxy/proxy/upstream"
	"github.com/s3proxy/s3proxy/test/lab"
)

// A proxy that runs removes the state of an upload that was aborted behind its back,
// and leaves that of a live one.
func TestARunningProxySweepsWhatUploadsLeft(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB) *lab.Store{"versitygw": lab.Versitygw, "minio": lab.MinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := before(t, start(t))
			p.sweepEvery, p.sweepGrace = 50*time.Millisecond, 0
			var removed, failed atomic.Int64
			p.cfg.ObserveSweep = func(r SweepRound) {
				if s := p.Sweep(); s.Bucket != "bucket" || s.Of != 1 || !s.Next.IsZero() {
					t.Errorf("in a sweep it is at %+v", s)
				}
				removed.Add(int64(r.Removed))
				failed.Add(int64(r.Failed))
			}
			s := httptest.NewServer(p)
			t.Cleanup(s.Close)
			if resp, body := ask(t, s, "PUT", "/bucket", nil); resp.StatusCode != 200 {
				t.Fatalf("CreateBucket: %s %s", resp.Status, body)
			}
			begin := func(key string) string {
				t.Helper()
				_, body := ask(t, s, "POST", "/bucket/"+key+"?uploads=", nil)
				id := regexp.MustCompile("<UploadId>(.*)</UploadId>").FindStringSubmatch(body)
				if id == nil {
					t.Fatalf("CreateMultipartUpload: %s", body)
				}
				if resp, body := ask(t, s, "PUT", "/bucket/"+key+"?partNumber=1&uploadId="+id[1], []byte("part")); resp.StatusCode != 200 {
					t.Fatalf("UploadPart: %s %s", resp.Status, body)
				}
				return id[1]
			}
			gone, live := begin("gone"), begin("live")
			raw := p.others.Upstream
			resp, err := raw.Do(t.Context(), &upstream.Request{Method: http.MethodDelete, Bucket: bucketNamed("bucket"), Key: keyNamed("gone"), UploadID: uploadNamed(gone)})
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			state := func(key, id string) int {
				t.Helper()
				_, folder := multipart.FolderOf(p.others.Place, multipart.Name{Bucket: bucketNamed("bucket"), Key: keyNamed(key), ID: uploadNamed(id)})
				page, err := p.others.Upstream.ListAny(t.Context(), upstream.Request{Bucket: bucketNamed("bucket")}, folder, "", 10)
				if err != nil {
					t.Fatal(err)
				}
				return len(page.Entries())
			}
			if n := state("gone", gone); n != 2 {
				t.Fatalf("%d state objects before the sweep, want key and record", n)
			}
			ctx, end := context.WithCancel(t.Context())
			ended := make(chan struct{})
			if s := p.Sweep(); s != (SweepState{}) {
				t.Errorf("before the first sweep it is at %+v", s)
			}
			go func() { p.SweepUploads(ctx); close(ended) }()
			for range 100 {
				if removed.Load() > 0 {
					break
				}
				time.Sleep(50 * time.Millisecond)
			}
			end()
			<-ended
			if removed.Load() != 1 || failed.Load() != 0 {
				t.Errorf("told of %d uploads that were removed and %d that failed", removed.Load(), failed.Load())
			}
			if n := state("gone", gone); n != 0 {
				t.Errorf("%d state objects of the upload that is gone", n)
			}
			if n := state("live", live); n != 2 {
				t.Errorf("%d state objects of the live upload, want key and record", n)
			}
			if resp, body := ask(t, s, "PUT", "/bucket/live?partNumber=2&uploadId="+live, []byte("more")); resp.StatusCode != 200 {
				t.Errorf("UploadPart after the sweep: %s %s", resp.Status, strings.TrimSpace(body))
			}
		})
	}
}
