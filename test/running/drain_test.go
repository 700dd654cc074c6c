package running

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// proxyBefore starts a proxy for this test alone in front of a store for this test alone.
func proxyBefore(t *testing.T, name string, args ...string) (*lab.ProxyProcess, *lab.Store) {
	t.Helper()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	var store *lab.Store
	switch name {
	case lab.OnVersitygw:
		store = lab.Versitygw(t)
	case lab.OnMinIO:
		store = lab.MinIO(t)
	}
	return lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: args}), store
}

// openGet starts to read an object and returns the open response with its first MiB read. The
// client's buffers hold a few MiB of the object, which has many.
func openGet(t *testing.T, at lab.S3, path string) *http.Response {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := s3test.Call{Method: http.MethodGet, Path: path}.Streamed(t, at, client, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if _, err := io.CopyN(io.Discard, resp.Body, 1<<20); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET: %d %v", resp.StatusCode, err)
	}
	return resp
}

func TestAStoreThatDiesInAGetBreaksTheTransfer(t *testing.T) {
	for _, name := range []string{lab.OnVersitygw, lab.OnMinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var at lab.S3
			var store *lab.Store
			if lab.Direct {
				store = map[string]func(testing.TB) *lab.Store{lab.OnVersitygw: lab.Versitygw, lab.OnMinIO: lab.MinIO}[name](t)
				at = store.S3()
			} else {
				p, s := proxyBefore(t, name)
				at, store = p.S3(), s
			}
			path := "/" + s3test.NewBucket(t, at) + "/object"
			if err := s3test.PutStream(t, at, path, 2, int64(s3test.LargeSize)); err != nil {
				t.Fatal(err)
			}
			resp := openGet(t, at, path)
			store.Kill()
			n, err := io.Copy(io.Discard, resp.Body)
			if err == nil || n+1<<20 >= int64(s3test.LargeSize) {
				t.Errorf("%d bytes of %d came and the transfer ended with %v", n+1<<20, s3test.LargeSize, err)
			}
			// With the store down, the next request gets an S3 error instead of hanging.
			if !lab.Direct {
				if got := s3test.Get(t, at, path); got.Status < 500 || got.Code == "" {
					t.Errorf("with no store: %v", got)
				}
			}
		})
	}
}

func TestRunningTransfersFinishAfterSIGTERM(t *testing.T) {
	for _, name := range lab.AllTargets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := proxyBefore(t, name)
			at := p.S3()
			bucket := s3test.NewBucket(t, at)
			if err := s3test.PutStream(t, at, "/"+bucket+"/object", 3, int64(s3test.LargeSize)); err != nil {
				t.Fatal(err)
			}
			resp := openGet(t, at, "/"+bucket+"/object")
			body, feed := io.Pipe()
			put := make(chan error, 1)
			go func() {
				client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
				resp, err := s3test.Call{Method: http.MethodPut, Path: "/" + bucket + "/upload"}.Streamed(t, at, client, body, 10_000_000)
				if err == nil {
					resp.Body.Close()
					if resp.StatusCode != http.StatusOK {
						err = errors.New(resp.Status)
					}
				}
				put <- err
			}()
			upload := s3test.Content(4, 10_000_000)
			if _, err := feed.Write(upload[:5_000_000]); err != nil {
				t.Fatal(err)
			}

			p.Term()
			for deadline := time.Now().Add(5 * time.Second); lab.Listens(p.Address); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("new connections are still taken 5 s after SIGTERM")
				}
			}
			if _, early := p.Wait(300 * time.Millisecond); early {
				t.Fatal("the proxy ended under running transfers")
			}
			go func() {
				feed.Write(upload[5_000_000:])
				feed.Close()
			}()
			if err := <-put; err != nil {
				t.Errorf("the upload in progress: %v", err)
			}
			n, err := io.Copy(io.Discard, resp.Body)
			if err != nil || n+1<<20 != int64(s3test.LargeSize) {
				t.Errorf("the download in progress: %d bytes, %v", n+1<<20, err)
			}
			if code, ok := p.Wait(10 * time.Second); !ok || code != 0 {
				t.Errorf("exit code %d (ended: %v), want 0\n%s", code, ok, p.Log())
			}
		})
	}
}

func TestTransfersThatDoNotFinishAreCutAfterTheDrainTimeout(t *testing.T) {
	p, _ := proxyBefore(t, lab.OnVersitygw, "--drain-timeout", "1s")
	at := p.S3()
	bucket := s3test.NewBucket(t, at)
	if err := s3test.PutStream(t, at, "/"+bucket+"/object", 3, int64(s3test.LargeSize)); err != nil {
		t.Fatal(err)
	}
	resp := openGet(t, at, "/"+bucket+"/object")
	started := time.Now()
	p.Term()
	code, ok := p.Wait(30 * time.Second)
	if !ok || code != 0 {
		t.Errorf("exit code %d (ended: %v), want 0\n%s", code, ok, p.Log())
	}
	if took := time.Since(started); took < 900*time.Millisecond || took > 25*time.Second {
		t.Errorf("it ended after %v, want about the drain timeout of 1s", took)
	}
	if n, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Errorf("the interrupted transfer looks whole, %d bytes", n)
	}
}

func TestTwoProxiesOnOneStoreAndOneKeyfileReadEachOthersObjects(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	for _, name := range []string{lab.OnVersitygw, lab.OnMinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := lab.SharedVersitygw
			if name == lab.OnMinIO {
				store = lab.SharedMinIO
			}
			uri := "localfile://" + t.TempDir() + "/keyset.json"
			lab.MustRun(t, lab.Env(), lab.S3proxy(t), "keys", "create", "--kms", uri)
			options := lab.ProxyOptions{Upstream: store(t), Args: []string{"--kms", uri}}
			one, two := lab.Proxy(t, options).S3(), lab.Proxy(t, options).S3()
			bucket := s3test.NewBucket(t, one)
			for n, pair := range [][2]lab.S3{{one, two}, {two, one}} {
				path := "/" + bucket + "/" + string(rune('a'+n))
				body := s3test.Content(uint64(n), 300_000)
				s3test.MustPut(t, pair[0], path, body)
				for _, reader := range pair {
					if got := s3test.Get(t, reader, path); s3test.SameBytes(got.Body, body) != nil {
						t.Errorf("object %d: %v", n, got)
					}
				}
				// And each overwrites what the other wrote.
				s3test.MustPut(t, pair[1], path, body[1:])
				if got := s3test.Get(t, pair[0], path); s3test.SameBytes(got.Body, body[1:]) != nil {
					t.Errorf("object %d after the other wrote it: %v", n, got)
				}
			}
		})
	}
}
