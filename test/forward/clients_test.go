package forward

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// asProxy gives the settings with which clients ask a proxy for everything.
func asProxy(p *lab.ProxyProcess, ca string) []string {
	return []string{"HTTP_PROXY=" + p.URL, "http_proxy=" + p.URL, "HTTPS_PROXY=" + p.URL, "https_proxy=" + p.URL, "NO_PROXY=", "no_proxy=",
		"AWS_CA_BUNDLE=" + ca, "CURL_CA_BUNDLE=" + ca, "REQUESTS_CA_BUNDLE=" + ca}
}

// withClients runs a test with an endpoint in the clear and one over TLS, which is ended here.
func withClients(t *testing.T, test func(t *testing.T, p *lab.ProxyProcess, endpoint string, env []string)) {
	stores := lab.SharedStores(t)
	ca, args := authority(t)
	for scheme, store := range map[string]*lab.Store{"http": stores[0], "https": stores[len(stores)-1]} {
		p := proxy(t, store, args...)
		t.Run(scheme, func(t *testing.T) {
			test(t, p, scheme+"://"+name, p.S3().Env(asProxy(p, ca.File)...))
		})
	}
}

func TestBoto3KeepsItsEndpoint(t *testing.T) {
	for _, generation := range lab.Generations {
		t.Run(generation, func(t *testing.T) {
			python := lab.NeedBoto3(t, generation)
			withClients(t, func(t *testing.T, p *lab.ProxyProcess, endpoint string, env []string) {
				for _, style := range []string{"path", "virtual"} {
					lab.MustRun(t, env, python, "boto3_forward.py", endpoint, s3test.NewBucket(t, p.S3()), style)
				}
			})
		})
	}
}

func TestTheAWSCLIKeepsItsEndpoint(t *testing.T) {
	for _, generation := range lab.Generations {
		t.Run(generation, func(t *testing.T) {
			cli := lab.NeedAWS(t, generation)
			withClients(t, func(t *testing.T, p *lab.ProxyProcess, endpoint string, env []string) {
				bucket, body := s3test.NewBucket(t, p.S3()), s3test.Content(21, 20<<20)
				file := filepath.Join(t.TempDir(), "file")
				if err := os.WriteFile(file, body, 0o600); err != nil {
					t.Fatal(err)
				}
				lab.MustRun(t, env, cli, "--endpoint-url", endpoint, "s3", "cp", file, "s3://"+bucket+"/a key")
				lab.MustRun(t, env, cli, "--endpoint-url", endpoint, "s3", "cp", "s3://"+bucket+"/a key", file+"2")
				if got, err := os.ReadFile(file + "2"); err != nil || s3test.SameBytes(got, body) != nil {
					t.Errorf("%d bytes, %v", len(got), err)
				}
				s3test.MustGet(t, p.S3(), bucket, "a key", body)
			})
		})
	}
}

func TestS3cmdKeepsItsEndpoint(t *testing.T) {
	s3cmd := lab.Need(t, "s3cmd")
	withClients(t, func(t *testing.T, p *lab.ProxyProcess, endpoint string, env []string) {
		host, port, _ := net.SplitHostPort(p.Address)
		settings := fmt.Sprintf("[default]\naccess_key = %s\nsecret_key = %s\nhost_base = %s\nhost_bucket = %%(bucket)s.%s\nproxy_host = %s\nproxy_port = %s\nuse_https = %v\n",
			p.S3().AccessKey, p.S3().SecretKey, name, name, host, port, strings.HasPrefix(endpoint, "https"))
		for _, line := range env {
			if ca, is := strings.CutPrefix(line, "AWS_CA_BUNDLE="); is {
				settings += "ca_certs_file = " + ca + "\n"
			}
		}
		config := lab.PrivateFile(t, settings)
		bucket, body := s3test.NewBucket(t, p.S3()), s3test.Content(22, 200_000)
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, body, 0o600); err != nil {
			t.Fatal(err)
		}
		run := func(args ...string) string {
			return lab.MustRun(t, env, s3cmd, append([]string{"--config", config}, args...)...)
		}
		run("put", file, "s3://"+bucket+"/a ä")
		if got := run("ls", "s3://"+bucket); !strings.Contains(got, "a ä") {
			t.Errorf("it lists %q", got)
		}
		run("get", "--force", "s3://"+bucket+"/a ä", file+"2")
		if got, err := os.ReadFile(file + "2"); err != nil || s3test.SameBytes(got, body) != nil {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
}

func TestCurlKeepsItsEndpoint(t *testing.T) {
	curl := lab.Need(t, "curl")
	withClients(t, func(t *testing.T, p *lab.ProxyProcess, endpoint string, env []string) {
		bucket := s3test.NewBucket(t, p.S3())
		s3test.MustPut(t, p.S3(), "/"+bucket+"/k", []byte("what curl gets"))
		user := p.S3().AccessKey + ":" + p.S3().SecretKey
		for _, address := range []string{endpoint + "/" + bucket + "/k", strings.Replace(endpoint, "://", "://"+bucket+".", 1) + "/k"} {
			got := lab.MustRun(t, env, curl, "-sS", "--fail-with-body", "--proxy", p.URL, "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", user, "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD", address)
			if got != "what curl gets" {
				t.Errorf("%s: %q", address, got)
			}
		}
		out, err := lab.RunBoth(t, env, curl, "-sS", "--proxy", p.URL, strings.Replace(endpoint, name, "evil.example.com", 1)+"/")
		if !strings.Contains(out, "--forward-host") && !strings.Contains(out, "407") && (err == nil || !strings.Contains(err.Error(), "407")) {
			t.Errorf("another host: %s, %v", out, err)
		}
	})
}

// Java's own client reads no variables: it is given the proxy, as an SDK gives it to its client.
func TestJavasClientKeepsItsEndpoint(t *testing.T) {
	lab.TakesLong(t)
	java := lab.Need(t, "java")
	withClients(t, func(t *testing.T, p *lab.ProxyProcess, endpoint string, env []string) {
		bucket := s3test.NewBucket(t, p.S3())
		host, port, _ := net.SplitHostPort(p.Address)
		at := named(p, endpoint)
		address := func(method string) string {
			return endpoint + "/" + bucket + "/java?" + (s3test.Call{Method: method, Path: "/" + bucket + "/java"}).Presign(at, time.Hour).Query
		}
		ca := ""
		for _, line := range env {
			if file, is := strings.CutPrefix(line, "AWS_CA_BUNDLE="); is {
				ca = file
			}
		}
		if out := lab.MustRun(t, env, java, "Proxied.java", host, port, ca, address(http.MethodPut), address(http.MethodGet)); !strings.Contains(out, "all well") {
			t.Error(out)
		}
	})
}

// The AWS SDK for Java 2 sends its requests by Apache HttpClient 4.5. In the clear the request's
// target is the whole URL, and there is a Proxy-Connection header: ProtocolExec.java:96,
// RequestClientConnControl.java:87. CONNECT has host and port for its target, and Host and
// User-Agent for its headers: MainClientExec.java:468, HttpClientBuilder.java:1071. The signed Host
// leaves a default port out: ApacheHttpRequestFactory.java, getHostHeaderValue. "//" in a key is
// "/%2F": the same file, sanitizeUri.
func TestWhatTheAWSSDKForJavaSendsIsUnderstood(t *testing.T) {
	ca, args := authority(t)
	p := proxy(t, lab.SharedVersitygw(t), args...)
	bucket, body := s3test.NewBucket(t, p.S3()), s3test.Content(23, 100_000)
	s3test.MustPut(t, p.S3(), "/"+bucket+"/a//b", body)
	at := bucket + "." + name
	const agent = "User-Agent: Apache-HttpClient/4.5.13 (Java/17.0.15)\r\n"
	signed, _, _ := (s3test.Call{Method: "GET", Path: "/a/%2Fb"}).Wire(p.S3(), at)
	_, rest, _ := strings.Cut(string(signed), "\r\n")
	_, r := dial(t, p, "GET http://"+at+"/a/%2Fb HTTP/1.1\r\n"+agent+"Proxy-Connection: Keep-Alive\r\nAccept-Encoding: gzip,deflate\r\n"+rest)
	if got := s3test.ReadAnswer(r, "GET"); got.Status != 200 || s3test.SameBytes(got.Body, body) != nil {
		t.Errorf("in the clear: %v", got)
	}
	c, r, status := connect(t, p, at+":443", strings.TrimSuffix(agent, "\r\n"))
	if status != 200 || r.Buffered() > 0 {
		t.Fatalf("CONNECT: %d", status)
	}
	secure := tls.Client(c, &tls.Config{RootCAs: ca.Pool, ServerName: at})
	if _, err := secure.Write(signed); err != nil {
		t.Fatal(err)
	}
	if got := s3test.ReadAnswer(bufio.NewReader(secure), "GET"); got.Status != 200 || s3test.SameBytes(got.Body, body) != nil {
		t.Errorf("over TLS: %v", got)
	}
}
