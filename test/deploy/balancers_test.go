package deploy

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// balancer is one of the examples, with three proxies behind it.
type balancer struct {
	lab.S3
	client *http.Client // trusts it
	http2  *http.Client
}

// replaced is the text of an example with other addresses and files. Each of them must be there.
func replaced(t *testing.T, example string, pairs ...string) string {
	t.Helper()
	raw, err := os.ReadFile(lab.Path(t, "deploy/examples/"+example))
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("%s has no %q", example, pairs[i])
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	path := filepath.Join(t.TempDir(), example)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// behind starts three proxies in front of one store and a balancer before them. addresses are
// pairs of what the examples have and what it is here.
func behind(t *testing.T, start func(addresses []string, address, cert, key, dir string) *lab.Process) balancer {
	t.Helper()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	uri, _ := lab.NewKeyset(t)
	var addresses []string
	var first *lab.ProxyProcess
	for i := range 3 {
		metrics := lab.FreeAddress(t)
		p := lab.Proxy(t, lab.ProxyOptions{Upstream: lab.SharedVersitygw(t), Args: []string{"--kms", uri, "--metrics-listen", metrics}})
		_, port, err := net.SplitHostPort(metrics)
		if err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, fmt.Sprintf("10.0.0.1%d:8080", i+1), p.Address, fmt.Sprintf("health of %d", i), port)
		first = p
	}
	dir, authority, address := t.TempDir(), lab.NewAuthority(t), lab.FreeAddress(t)
	cert, key := filepath.Join(dir, "s3.crt"), filepath.Join(dir, "s3.key")
	authority.Issue(t, "s3.test", cert, key)
	b := balancer{S3: first.S3()}
	b.URL = "https://" + address
	for _, c := range []struct {
		to    **http.Client
		http2 bool
	}{{&b.client, false}, {&b.http2, true}} {
		*c.to = &http.Client{Timeout: lab.AnswerWithin, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authority.Pool}, ForceAttemptHTTP2: c.http2}}
		t.Cleanup((*c.to).CloseIdleConnections)
	}
	start(addresses, address, cert, key, dir).AwaitListening(t, address)
	for deadline := time.Now().Add(lab.AnswerWithin); ; time.Sleep(50 * time.Millisecond) { // its health checks
		if resp, err := b.client.Get(b.URL + "/"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == 403 {
				return b
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("the balancer has no proxy")
		}
	}
}

func withHAProxy(t *testing.T) balancer {
	t.Helper()
	return behind(t, func(addresses []string, address, cert, key, dir string) *lab.Process {
		pem := filepath.Join(dir, "s3.pem")
		var both []byte
		for _, file := range []string{cert, key} {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			both = append(both, raw...)
		}
		if err := os.WriteFile(pem, both, 0o600); err != nil {
			t.Fatal(err)
		}
		pairs := []string{":443", address, "/etc/haproxy/s3.pem", pem, " port 9090", ""}
		for i := 0; i < len(addresses); i += 4 {
			pairs = append(pairs, addresses[i], addresses[i+1]+" port "+addresses[i+3])
		}
		config := replaced(t, "haproxy.cfg", pairs...)
		lab.MustRun(t, lab.Env(), lab.Need(t, "haproxy"), "-c", "-f", config)
		return lab.Program(t, "haproxy", "-db", "-f", config)
	})
}

func withNginx(t *testing.T) balancer {
	t.Helper()
	return behind(t, func(addresses []string, address, cert, key, dir string) *lab.Process {
		pairs := []string{"listen 443", "listen " + address, "/etc/nginx/s3.crt", cert, "/etc/nginx/s3.key", key, "/run/nginx.pid", dir + "/pid", "/var/log/nginx/", dir + "/"}
		for i := 0; i < len(addresses); i += 4 {
			pairs = append(pairs, addresses[i], addresses[i+1])
		}
		config := replaced(t, "nginx.conf", pairs...)
		for _, folder := range []string{"body", "proxy", "fastcgi", "uwsgi", "scgi"} {
			if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		args := []string{"-c", config, "-g", "daemon off; user root;"}
		lab.MustRun(t, lab.Env(), lab.Need(t, "nginx"), append(args, "-t")...)
		return lab.Program(t, "nginx", args...)
	})
}

func TestClientsReachThreeProxiesThroughTheExamplesOfBalancers(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) balancer{"HAProxy": withHAProxy, "nginx": withNginx} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			bucket := lab.FreeName("balanced")
			for proto, client := range map[string]*http.Client{"HTTP/1.1": b.client, "HTTP/2.0": b.http2} {
				b.works(t, client, proto, bucket)
			}
			b.streams(t, bucket)
		})
	}
}

// works sends what clients send: odd keys and metadata, bodies of all sizes, in parts, presigned.
func (b balancer) works(t *testing.T, client *http.Client, proto, bucket string) {
	t.Helper()
	sdk := s3.New(s3test.HostedSDK(t, b.S3, client, b.URL).Options(), func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := sdk.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil && s3test.Code(err) != "BucketAlreadyOwnedByYou" {
		t.Fatal(err)
	}
	for i, key := range []string{"k", "a//b", "a%2Fb", "a b+c", "ü/é?x=1&y", "a;b:c@d", "%41"} {
		body := s3test.Content(uint64(i), 1000+i*700_000)
		if _, err := sdk.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body), Metadata: map[string]string{"a_b": "x", "c.d": "y"}}); err != nil {
			t.Fatalf("%s, %q: %v", proto, key, err)
		}
		if out := s3test.MustRead(t, sdk, bucket, key, body); out.Metadata["a_b"] != "x" || out.Metadata["c.d"] != "y" {
			t.Errorf("%s, %q: metadata %v", proto, key, out.Metadata)
		}
		presigned, err := s3.NewPresignClient(sdk).PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Get(presigned.URL)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || resp.Proto != proto || !bytes.Equal(got, body) {
			t.Errorf("%q presigned: %s over %s, %d bytes, %v", key, resp.Status, resp.Proto, len(got), err)
		}
	}
	large := s3test.Content(9, 20<<20)
	manager := transfermanager.New(sdk)
	if _, err := manager.UploadObject(t.Context(), &transfermanager.UploadObjectInput{Bucket: &bucket, Key: aws.String("large"), Body: bytes.NewReader(large)}); err != nil {
		t.Fatal(err)
	}
	s3test.MustRead(t, sdk, bucket, "large", large)
	resp, err := s3test.Call{Method: http.MethodPut, Path: "/" + bucket + "/streamed"}.Streamed(t, b.S3, client, io.LimitReader(s3test.Generator(3), 3<<20), 3<<20)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("a streamed PUT over %s: %s", proto, resp.Status)
	}
}

// streams proves that no upload is held: an answer comes before the end of its body.
func (b balancer) streams(t *testing.T, bucket string) {
	t.Helper()
	body, writer := io.Pipe()
	go func() { _, _ = io.CopyN(writer, s3test.Generator(1), 1<<20) }() // and no more
	put := s3test.Call{Method: http.MethodPut, Path: "/" + lab.FreeName("missing") + "/k"}
	resp, err := put.Streamed(t, b.S3, b.client, body, 64<<20)
	writer.Close()
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 404 {
		t.Errorf("an upload into a bucket that is not there: %s", resp.Status)
	}
}
