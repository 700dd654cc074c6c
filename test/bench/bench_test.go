// Package bench compares s3proxy with a plain httputil.ReverseProxy, both in
// front of one MinIO, in one run: machines differ and are noisy, ratios of
// neighbouring runs are not.
package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/s3proxy/s3proxy/test/lab"
)

// reverseEnv makes this binary the plain reverse proxy: "listen target".
const reverseEnv = "BENCH_REVERSE_PROXY"

func TestMain(m *testing.M) {
	if target := os.Getenv(reverseEnv); target != "" {
		reverseProxy(target)
		return
	}
	lab.Main(m)
}

func reverseProxy(setting string) {
	var listen, target string
	fmt.Sscan(setting, &listen, &target)
	u, err := url.Parse(target)
	if err != nil {
		panic(err)
	}
	panic(http.ListenAndServe(listen, &httputil.ReverseProxy{
		// The Host header stays: it is signed.
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = u.Scheme, u.Host },
	}))
}

type target struct {
	name, url, key, secret string
	client                 *http.Client
}

// send signs a request and sends it.
func (t *target) send(method, path string, body []byte) (*http.Response, error) {
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	req, err := http.NewRequest(method, t.url+path, reader)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	creds := aws.Credentials{AccessKeyID: t.key, SecretAccessKey: t.secret}
	if err := v4.NewSigner().SignHTTP(context.Background(), creds, req, "UNSIGNED-PAYLOAD", "s3", "us-east-1", time.Now()); err != nil {
		return nil, err
	}
	return t.client.Do(req)
}

func (t *target) do(method, path string, body []byte) error {
	resp, err := t.send(method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s, %d bytes, %v", method, path, resp.Status, n, err)
	}
	return nil
}

// run does count requests, some side by side, and gives the seconds.
func (t *target) run(b *testing.B, workers, count int, method string, body []byte) float64 {
	b.Helper()
	var wg sync.WaitGroup
	errs := make(chan error, workers)
	start := time.Now()
	for w := range workers {
		wg.Go(func() {
			for i := w; i < count; i += workers {
				var sent []byte
				if method == http.MethodPut {
					sent = body
				}
				if err := t.do(method, fmt.Sprintf("/bench/%s-%d-%d", t.name, len(body), i%workers), sent); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(start).Seconds()
	select {
	case err := <-errs:
		b.Fatal(err)
	default:
	}
	return took
}

// BenchmarkBesideAReverseProxy prints a table of medians. The ratio is the
// median of the pairs': over 1 s3proxy is slower.
func BenchmarkBesideAReverseProxy(b *testing.B) {
	store := lab.MinIO(b)
	proxy := lab.Proxy(b, lab.ProxyOptions{Upstream: store, Args: []string{"--log-level", "error"}})
	listen := lab.FreeAddress(b)
	plain := exec.Command(os.Args[0])
	plain.Env = append(os.Environ(), reverseEnv+"="+listen+" "+store.URL)
	if err := plain.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { plain.Process.Kill(); plain.Wait() })
	for !lab.Listens(listen) {
		time.Sleep(10 * time.Millisecond)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, WriteBufferSize: 256 << 10, ReadBufferSize: 256 << 10, DisableCompression: true}}
	ours := &target{"s3proxy", proxy.URL, lab.ClientAccessKey, lab.ClientSecretKey, client}
	theirs := &target{"reverse", "http://" + listen, store.AccessKey, store.SecretKey, client}
	if err := ours.do(http.MethodPut, "/bench", nil); err != nil {
		b.Fatal(err)
	}
	fmt.Printf("\n%-10s %-4s %7s %12s %12s %8s\n", "size", "op", "workers", "s3proxy", "reverse", "ratio")
	for _, c := range []struct {
		size, workers, count int
	}{{4 << 10, 4, 1200}, {1 << 20, 4, 160}, {100 << 20, 1, 4}} {
		body := make([]byte, c.size)
		rand.Read(body)
		for _, method := range []string{http.MethodPut, http.MethodGet} {
			ours.run(b, c.workers, c.workers, method, body) // warm up
			theirs.run(b, c.workers, c.workers, method, body)
			var mine, other, ratios []float64
			for range 7 {
				a, z := ours.run(b, c.workers, c.count, method, body), theirs.run(b, c.workers, c.count, method, body)
				mine, other, ratios = append(mine, a), append(other, z), append(ratios, a/z)
			}
			rate := func(seconds []float64) string {
				s := median(seconds)
				if c.size < 1<<20 {
					return fmt.Sprintf("%.0f op/s", float64(c.count)/s)
				}
				return fmt.Sprintf("%.0f MB/s", float64(c.count)*float64(c.size)/1e6/s)
			}
			fmt.Printf("%-10d %-4s %7d %12s %12s %8.2f\n", c.size, method, c.workers, rate(mine), rate(other), median(ratios))
		}
	}
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}
