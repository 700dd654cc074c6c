package commands

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// busy is a way to a store on which every tenth GET or HEAD is answered with SlowDown.
func busy(t *testing.T, store *lab.Store) *httptest.Server {
	t.Helper()
	forward := lab.WayTo(t, store)
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if (r.Method == http.MethodGet || r.Method == http.MethodHead) && asked.Add(1)%10 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server
}

// A run of hours does not end because the store is busy now and then.
func TestCommandsGoOnBesideABusyStore(t *testing.T) {
	lab.TakesLong(t)
	onKeyed(t, func(k *keyed) {
		t := k.t
		k.proxied(func(client *s3.Client) {
			for i := range 6 {
				k.put(client, fmt.Sprint("o", i), s3test.Content(uint64(i), 1000))
			}
		}, "--key-window-objects", "2")
		k.put(k.raw(), "plain", s3test.Content(9, 1000))
		through := busy(t, k.store)
		for _, args := range [][]string{
			{"encrypt-existing"}, {"keys", "rotate", "--new-version", "--objects", "--settle", "0"}, {"keys", "status", "--objects"}, {"keys", "verify"},
			{"gc"}, {"gc", "--records", "--records-grace", "0"}, {"decrypt-existing", "--allow-plaintext-reads"},
		} {
			if out, code := lab.Command(t, k.store, append(args, "s3://"+k.bucket, "--kms", k.kms, "--upstream", through.URL)...); code != 0 {
				t.Errorf("%q: exit code %d: %s", args, code, out)
			}
		}
	})
}

// afterObjects calls then at the first request for the n-th distinct object below a path.
func afterObjects(n int, below string, then func()) func(*http.Request) {
	var mu sync.Mutex
	seen := map[string]bool{}
	return func(r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if strings.HasPrefix(r.URL.Path, below) && !seen[r.URL.Path] {
			if seen[r.URL.Path] = true; len(seen) == n {
				then()
			}
		}
	}
}
