package running

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// readiness polls /readyz until it answers with a status, and returns the text.
func readiness(t *testing.T, address string, status int, within time.Duration) (text string) {
	t.Helper()
	for until := time.Now().Add(within); ; time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get("http://" + address + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode == status {
			return string(body)
		}
		if time.Now().After(until) {
			t.Fatalf("/readyz is not %d: %s %s", status, resp.Status, body)
		}
	}
}

func TestAProxyWhoseStoreIsAwayIsNotReadyUntilTheStoreIsBack(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	t.Parallel()
	store, address := lab.Versitygw(t), lab.FreeAddress(t)
	p := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--metrics-listen", address, "--store-unready-after", "2s"}})
	bucket := s3test.NewBucket(t, p.S3())
	s3test.RoundTrip(t, p.S3(), bucket, 1000)
	readiness(t, address, http.StatusOK, 0)
	for range 2 {
		store.Kill()
		if a := s3test.Get(t, p.S3(), "/"+bucket+"/none"); a.Status != http.StatusServiceUnavailable {
			t.Errorf("without a store: %v", a)
		}
		if text := readiness(t, address, http.StatusServiceUnavailable, lab.AnswerWithin); !strings.Contains(text, "not ready: the store "+store.URL+" has not answered for ") {
			t.Errorf("it says %q", text)
		}
		if text := scraped(t, address); !strings.Contains(text, "\ns3proxy_ready 0\n") || !strings.Contains(text, fmt.Sprintf("\ns3proxy_upstream_up{store=%q} 0\n", store.URL)) {
			t.Errorf("the metrics do not show it:\n%s", text)
		}
		store.Restart(t)
		if text := readiness(t, address, http.StatusOK, lab.AnswerWithin); text != "ready\n" {
			t.Errorf("it says %q", text)
		}
		s3test.RoundTrip(t, p.S3(), bucket, 1000)
	}
}

func TestAProxyServesOnWhileOneOfItsStoresIsAway(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	t.Parallel()
	store, other, address := lab.Versitygw(t), lab.Versitygw(t), lab.FreeAddress(t)
	config := lab.PrivateFile(t, "buckets:\n  elsewhere: {upstream: {url: '"+other.URL+"'}}\n")
	p := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--metrics-listen", address, "--store-unready-after", "1s", "--config", config}})
	bucket := s3test.NewBucket(t, p.S3())
	s3test.MakeBucket(t, p.S3(), "elsewhere")
	s3test.RoundTrip(t, p.S3(), "elsewhere", 1000)
	other.Kill()
	if a := s3test.Get(t, p.S3(), "/elsewhere/none"); a.Status != http.StatusServiceUnavailable {
		t.Errorf("without its store: %v", a)
	}
	warning := "warning: the store " + other.URL + " has not answered"
	for until := time.Now().Add(lab.AnswerWithin); !strings.Contains(readiness(t, address, http.StatusOK, 0), warning); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("no %q", warning)
		}
	}
	s3test.RoundTrip(t, p.S3(), bucket, 1000)
	store.Kill()
	if a := s3test.Get(t, p.S3(), "/"+bucket+"/none"); a.Status != http.StatusServiceUnavailable {
		t.Errorf("without a store: %v", a)
	}
	if text := readiness(t, address, http.StatusServiceUnavailable, lab.AnswerWithin); !strings.Contains(text, store.URL) || !strings.Contains(text, other.URL) {
		t.Errorf("it says %q", text)
	}
	other.Restart(t)
	readiness(t, address, http.StatusOK, lab.AnswerWithin)
}

func TestAProxyStaysReadyWithoutItsStoreIfThatDoesNotCount(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	t.Parallel()
	store, address := lab.Versitygw(t), lab.FreeAddress(t)
	p := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--metrics-listen", address, "--store-unready-after", "0"}})
	store.Kill()
	for range 3 {
		s3test.Get(t, p.S3(), "/none/none")
	}
	if text := readiness(t, address, http.StatusOK, 0); text != "ready\n" {
		t.Errorf("it says %q", text)
	}
}

// No client sends requests, so the proxy has to look by itself.
func TestAProxyThatNobodyAsksNoticesThatItsStoreHangs(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	lab.TakesLong(t)
	t.Parallel()
	store, address := lab.Versitygw(t), lab.FreeAddress(t)
	lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--metrics-listen", address, "--store-unready-after", "2s"}})
	if err := syscall.Kill(store.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	readiness(t, address, http.StatusServiceUnavailable, time.Minute+2*lab.AnswerWithin)
	if err := syscall.Kill(store.PID(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	readiness(t, address, http.StatusOK, lab.AnswerWithin)
}
