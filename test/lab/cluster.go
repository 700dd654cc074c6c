package lab

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Cluster is three replicas of a proxy with one keyset. The load balancer in front of them is
// configured by one of deploy/examples.
type Cluster struct {
	S3
	Client, HTTP2 *http.Client // which trust the balancer's certificate
	Replicas      []*Replica
	KMS           string // URI of the keyset
	CA            string // file of who signed the balancer's certificate
}

// Replica is one of the proxies.
type Replica struct {
	*ProxyProcess
	Metrics string // address of --metrics-listen

	options ProxyOptions
}

// Restart starts the replica again at its old address, after it has ended.
func (r *Replica) Restart(t testing.TB) {
	t.Helper()
	r.ProxyProcess = Proxy(t, r.options)
}

// ClusterOptions say how NewCluster starts one.
type ClusterOptions struct {
	Store    *Store
	Balancer string   // "haproxy" or "nginx"
	Plain    bool     // clients reach the balancer without TLS
	Args     []string // of each replica
	Env      []string
}

// NewCluster starts a cluster, and waits until the balancer forwards requests. It skips the test if
// the balancer is not installed (see Skip).
func NewCluster(t *testing.T, o ClusterOptions) *Cluster {
	t.Helper()
	if Direct {
		t.Skip("there are no replicas")
	}
	program := Need(t, o.Balancer)
	at := place{t: t}
	c := &Cluster{}
	c.KMS, _ = NewKeyset(t)
	for range 3 {
		r := &Replica{Metrics: FreeAddress(t)}
		r.options = ProxyOptions{Upstream: o.Store, Address: FreeAddress(t), Env: o.Env, Args: append([]string{"--kms", c.KMS, "--metrics-listen", r.Metrics}, o.Args...)}
		r.Restart(t)
		c.Replicas = append(c.Replicas, r)
	}
	dir, authority, address := at.folder("balancer"), NewAuthority(t), FreeAddress(t)
	cert, key := filepath.Join(dir, "s3.crt"), filepath.Join(dir, "s3.key")
	authority.Issue(t, "s3.test", cert, key)
	c.S3, c.CA = c.Replicas[0].S3(), authority.File
	c.URL = "https://" + address
	if o.Plain {
		c.URL = "http://" + address
	}
	for to, http2 := range map[**http.Client]bool{&c.Client: false, &c.HTTP2: true} {
		client := &http.Client{Timeout: AnswerWithin, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authority.Pool}, ForceAttemptHTTP2: http2, MaxIdleConnsPerHost: 100}}
		t.Cleanup(client.CloseIdleConnections)
		*to = client
	}
	args := map[string]func(testing.TB, *Cluster, ClusterOptions, string, string) []string{"haproxy": haproxyArgs, "nginx": nginxArgs}[o.Balancer](t, c, o, address, dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	start(at, o.Balancer, program, args, Env()).AwaitListening(t, address)
	c.await(t)
	return c
}

// await waits until the balancer forwards requests to a replica.
func (c *Cluster) await(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(AnswerWithin); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		resp, err := c.Client.Get(c.URL + "/")
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusForbidden {
			return
		}
	}
	t.Fatal("the balancer found no proxy")
}

func haproxyArgs(t testing.TB, c *Cluster, o ClusterOptions, address, dir string) []string {
	t.Helper()
	var pem []byte
	for _, name := range []string{"s3.crt", "s3.key"} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		pem = append(pem, raw...)
	}
	both := filepath.Join(dir, "s3.pem")
	if err := os.WriteFile(both, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	pairs := []string{":443", address, "/etc/haproxy/s3.pem", both, " port 9090", ""}
	if o.Plain {
		pairs = []string{":443 ssl crt /etc/haproxy/s3.pem alpn h2,http/1.1", address, " port 9090", ""}
	}
	for i, r := range c.Replicas {
		_, port, err := net.SplitHostPort(r.Metrics)
		if err != nil {
			t.Fatal(err)
		}
		pairs = append(pairs, example(i), r.Address+" port "+port)
	}
	return []string{"-db", "-f", exampleOf(t, dir, "haproxy.cfg", pairs)}
}

func nginxArgs(t testing.TB, c *Cluster, _ ClusterOptions, address, dir string) []string {
	t.Helper()
	pairs := []string{
		"listen 443", "listen " + address, "/etc/nginx/s3.crt", filepath.Join(dir, "s3.crt"), "/etc/nginx/s3.key", filepath.Join(dir, "s3.key"),
		"/run/nginx.pid", filepath.Join(dir, "pid"), "/var/log/nginx/", dir + "/",
	}
	for i, r := range c.Replicas {
		pairs = append(pairs, example(i), r.Address)
	}
	return []string{"-c", exampleOf(t, dir, "nginx.conf", pairs), "-g", "daemon off; master_process off;"}
}

// example is the address of replica i in the examples.
func example(i int) string { return fmt.Sprintf("10.0.0.1%d:8080", i+1) }

// exampleOf writes an example with other addresses and files. pairs alternates a text that the
// example must contain with its replacement.
func exampleOf(t testing.TB, dir, name string, pairs []string) (path string) {
	t.Helper()
	raw, err := os.ReadFile(Path(t, "deploy/examples/"+name))
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("%s has no %q", name, pairs[i])
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	path = filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
