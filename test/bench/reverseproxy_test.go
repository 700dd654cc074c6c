package bench

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"runtime"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

// reverseEnv makes this binary the plain reverse proxy: a process of its own, so that its CPU
// and memory are counted apart.
const reverseEnv = "BENCH_REVERSE_PROXY"

// reverseSetting is what reverseEnv says, in JSON.
type reverseSetting struct {
	Listen, Metrics, Target string
	Cert, Key, CA           string // with TLS on both sides
}

func reverseProxy(text string) {
	var s reverseSetting
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		panic(err)
	}
	u, err := url.Parse(s.Target)
	if err != nil {
		panic(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, 1024
	transport.DisableCompression = true
	if s.CA != "" {
		pem, err := os.ReadFile(s.CA)
		if err != nil {
			panic(err)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	go http.ListenAndServe(s.Metrics, http.HandlerFunc(memoryMetrics))
	server := &http.Server{Addr: s.Listen, Handler: &httputil.ReverseProxy{
		Transport: transport,
		// The Host header stays: it is signed.
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = u.Scheme, u.Host, r.In.Host
		},
	}}
	if s.Cert != "" {
		panic(server.ListenAndServeTLS(s.Cert, s.Key))
	}
	panic(server.ListenAndServe())
}

// memoryMetrics tells what the proxy's own /metrics tells of Go's memory, by the same names.
func memoryMetrics(w http.ResponseWriter, _ *http.Request) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Fprintf(w, "go_memstats_mallocs_total %d\ngo_memstats_alloc_bytes_total %d\n", m.Mallocs, m.TotalAlloc)
}

// startReverse starts one, and waits until it listens.
func startReverse(b *testing.B, s reverseSetting) *lab.Process {
	b.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		b.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	p := lab.Start(b, "reverseproxy", self, nil, lab.Env(reverseEnv+"="+string(text)))
	p.AwaitListening(b, s.Listen)
	p.AwaitListening(b, s.Metrics)
	return p
}
