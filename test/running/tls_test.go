package running

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// secured is a proxy whose listener uses TLS.
type secured struct {
	*lab.ProxyProcess
	authority *lab.Authority
	cert, key string // files with its certificate and key
}

// secureProxy starts one in front of versitygw.
func secureProxy(t *testing.T, args ...string) *secured {
	t.Helper()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	dir := t.TempDir()
	s := &secured{authority: lab.NewAuthority(t), cert: filepath.Join(dir, "tls.crt"), key: filepath.Join(dir, "tls.key")}
	s.authority.Issue(t, "proxy.test", s.cert, s.key)
	s.ProxyProcess = lab.Proxy(t, lab.ProxyOptions{Upstream: lab.SharedVersitygw(t), Args: append([]string{"--tls-cert", s.cert, "--tls-key", s.key}, args...)})
	return s
}

func (s *secured) at(id, secret string) lab.S3 {
	return lab.S3{URL: "https://" + s.Address, AccessKey: id, SecretKey: secret}
}

func (s *secured) S3() lab.S3 { return s.at(lab.ClientAccessKey, lab.ClientSecretKey) }

// client trusts the authority; conf configures its connections.
func (s *secured) client(t *testing.T, http2 bool, conf *tls.Config) *http.Client {
	t.Helper()
	conf.RootCAs = s.authority.Pool
	c := &http.Client{Timeout: lab.AnswerWithin, Transport: &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: http2}}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// as is a client that presents a certificate.
func (s *secured) as(t *testing.T, cert, key string) *http.Client {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return s.client(t, true, &tls.Config{Certificates: []tls.Certificate{pair}})
}

// shown is the certificate that the proxy presents on a new connection.
func (s *secured) shown(t *testing.T) *x509.Certificate {
	t.Helper()
	c, err := tls.Dial("tcp", s.Address, &tls.Config{RootCAs: s.authority.Pool})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0]
}

// answered sends a request and returns its status; 0 if there was no answer.
func answered(t *testing.T, client *http.Client, r *http.Request) (status int, body string) {
	t.Helper()
	resp, err := client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(raw)
}

func request(t *testing.T, method, url string, body []byte) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestClientsSpeakTLSWithTheProxyOverHTTP1AndHTTP2(t *testing.T) {
	t.Parallel()
	s := secureProxy(t)
	bucket := lab.FreeName("tls")
	for proto, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		client := s.client(t, http2, &tls.Config{})
		sdk := s3.New(s3test.HostedSDK(t, s.S3(), client, s.S3().URL).Options(), func(o *s3.Options) { o.UsePathStyle = true })
		if _, err := sdk.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil && !strings.Contains(err.Error(), "BucketAlreadyOwnedByYou") {
			t.Fatal(err)
		}
		for _, n := range []int{0, 1000, 3_000_000} {
			body := s3test.Content(uint64(n), n)
			if _, err := sdk.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String(proto), Body: bytes.NewReader(body)}); err != nil {
				t.Fatalf("%s, %d bytes: %v", proto, n, err)
			}
			s3test.MustRead(t, sdk, bucket, proto, body)
			// Some clients wait for a 100 before they send the body; the final answer must still be theirs.
			put := s3test.Call{Method: http.MethodPut, Path: "/" + bucket + "/k", Headers: map[string]string{"expect": "100-continue"}}
			resp, err := put.Streamed(t, s.S3(), client, bytes.NewReader(body), int64(n))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != 200 || resp.Proto != proto {
				t.Errorf("%d bytes: %s over %s, want %s", n, resp.Status, resp.Proto, proto)
			}
		}
	}
	if got := s.Log(); strings.Contains(got, "level=ERROR") || strings.Contains(got, "level=WARN") {
		t.Error(got)
	}
}

// If HTTP/2 ended the stream normally, the client would take it for a whole object.
func TestADamagedObjectIsAnErrorOverHTTP2Too(t *testing.T) {
	t.Parallel()
	s := secureProxy(t)
	client, bucket := s.client(t, true, &tls.Config{}), lab.FreeName("damaged")
	if must(t, client, s3test.Call{Method: "PUT", Path: "/" + bucket}, s.S3(), nil) != 200 {
		t.Fatal("no bucket")
	}
	call := s3test.Call{Method: "PUT", Path: "/" + bucket + "/k"}
	if must(t, client, call, s.S3(), s3test.Content(1, 3_000_000)) != 200 {
		t.Fatal("no object")
	}
	operator := lab.SharedVersitygw(t).S3()
	stored := s3test.RawGet(t, operator, "/"+bucket+"/k")
	stored.Body = s3test.Flipped(stored.Body, 2_000_000)
	s3test.RawPut(t, operator, "/"+bucket+"/k", stored)
	resp, err := s3test.Call{Method: "GET", Path: "/" + bucket + "/k"}.Streamed(t, s.S3(), client, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if resp.ProtoMajor != 2 || resp.StatusCode != 200 || err == nil {
		t.Errorf("%s over %s, %d bytes, %v; want a stream that breaks", resp.Status, resp.Proto, len(got), err)
	}
}

func must(t *testing.T, client *http.Client, c s3test.Call, at lab.S3, body []byte) int {
	t.Helper()
	resp, err := c.Streamed(t, at, client, bytes.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func TestTheListenerSpeaksModernTLSAlone(t *testing.T) {
	t.Parallel()
	s := secureProxy(t)
	for what, c := range map[string]struct {
		conf *tls.Config
		ok   bool
	}{
		"TLS 1.1":                   {&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
		"CBC":                       {&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA}}, false},
		"no forward secrecy":        {&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}}, false},
		"TLS 1.2 with AES-GCM":      {&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}, true},
		"TLS 1.2 with ChaCha20":     {&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256}}, true},
		"TLS 1.3":                   {&tls.Config{MinVersion: tls.VersionTLS13}, true},
		"TLS 1.3, with an old list": {&tls.Config{CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}}, true},
	} {
		status, text := answered(t, s.client(t, false, c.conf), request(t, "GET", s.S3().URL+"/", nil))
		if (status == 403) != c.ok {
			t.Errorf("%s: %d %s", what, status, text)
		}
	}
	if a := (s3test.Call{Method: "GET", Path: "/"}).Do(t, s.ProxyProcess.S3()); a.Status != 400 {
		t.Errorf("plain HTTP: %v", a)
	}
	if strings.Contains(s.Log(), "level=ERROR") {
		t.Errorf("clients write errors into the log:\n%s", s.Log())
	}
}

func TestARenewedCertificateIsShownWithoutARestart(t *testing.T) {
	t.Parallel()
	s := secureProxy(t)
	first := s.shown(t)
	kept := s.client(t, true, &tls.Config{})
	if status, text := answered(t, kept, request(t, "GET", s.S3().URL+"/", nil)); status != 403 {
		t.Fatal(status, text)
	}
	becomes := func(other *x509.Certificate) *x509.Certificate {
		t.Helper()
		for deadline := time.Now().Add(lab.AnswerWithin); ; time.Sleep(20 * time.Millisecond) {
			if now := s.shown(t); !now.Equal(other) {
				return now
			}
			if time.Now().After(deadline) {
				t.Fatal("the old certificate is still shown")
			}
		}
	}
	s.authority.Issue(t, "proxy.test", s.cert, s.key)
	second := becomes(first)
	if err := os.WriteFile(s.cert, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	awaitLog(t, s.ProxyProcess, "the certificates of listen were not reloaded: the old ones stay valid")
	if !s.shown(t).Equal(second) {
		t.Error("after files that cannot be used, another certificate")
	}
	s.authority.Issue(t, "proxy.test", s.cert, s.key)
	if err := syscall.Kill(s.PID(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	becomes(second)
	if status, text := answered(t, kept, request(t, "GET", s.S3().URL+"/", nil)); status != 403 {
		t.Error("a connection from before:", status, text)
	}
}

func TestAKeyThatOthersCanReadIsNoListeners(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	lab.NewAuthority(t).Issue(t, "proxy.test", cert, key)
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	p := lab.Launch(t, lab.ProxyOptions{Args: []string{"--tls-cert", cert, "--tls-key", key}})
	if code, _ := p.Wait(lab.AnswerWithin); code != 2 || !strings.Contains(p.Log(), key) {
		t.Errorf("exit code %d:\n%s", code, p.Log())
	}
}

// mutual starts a proxy whose clients present certificates. It issues a certificate for each common
// name, with the names listed for it.
func mutual(t *testing.T, credentials string, args []string, names map[string][]string) (s *secured, clients map[string]*http.Client) {
	t.Helper()
	authority := lab.NewAuthority(t)
	s = secureProxy(t, append([]string{"--tls-client-ca", authority.File, "--credentials", lab.PrivateFile(t, credentials)}, args...)...)
	dir := t.TempDir()
	clients = map[string]*http.Client{}
	for name, others := range names {
		cert, key := filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
		authority.IssueClient(t, name, others, cert, key)
		clients[name] = s.as(t, cert, key)
	}
	return s, clients
}

func TestTheNameOfAClientsCertificateStandsForACredential(t *testing.T) {
	t.Parallel()
	granted, other := lab.FreeName("granted"), lab.FreeName("other")
	s, clients := mutual(t, `
- {access-key-id: backup, certificate: backup.test, buckets: [`+granted+`]}
- {access-key-id: reader, secret-access-key: reader-secret, certificate: reader, read-only: true}
- {access-key-id: one, certificate: one.test}
- {access-key-id: two, certificate: two.test}
`, nil, map[string][]string{
		"backup.test": {"backup.test", "unknown.test"}, "reader": nil, "twice": {"one.test", "two.test"}, "stranger": nil,
		"one.test": {"elsewhere.test"}, // if there are other names, the common name is ignored
	})
	setUp := clients["stranger"] // whose signature is as good as ever
	body := s3test.Content(3, 2_000_000)
	for _, bucket := range []string{granted, other} {
		if must(t, setUp, s3test.Call{Method: "PUT", Path: "/" + bucket}, s.S3(), nil) != 200 || must(t, setUp, s3test.Call{Method: "PUT", Path: "/" + bucket + "/k"}, s.S3(), body) != 200 {
			t.Fatal("no buckets")
		}
	}
	for _, c := range []struct {
		client, method, path string
		status               int
	}{
		{"backup.test", "PUT", "/" + granted + "/mine", 200},
		{"backup.test", "GET", "/" + granted + "/mine", 200},
		{"backup.test", "GET", "/" + other + "/k", 403},
		{"backup.test", "DELETE", "/" + other + "/k", 403},
		{"reader", "GET", "/" + other + "/k", 200},
		{"reader", "PUT", "/" + other + "/k", 403},
		{"twice", "GET", "/" + other + "/k", 403}, // the certificate fits two clients
		{"one.test", "GET", "/" + other + "/k", 403},
		{"stranger", "GET", "/" + other + "/k", 403},
	} {
		content := body
		if c.method != "PUT" {
			content = nil
		}
		if status, text := answered(t, clients[c.client], request(t, c.method, s.S3().URL+c.path, content)); status != c.status || status == 200 && c.method == "GET" && text != string(body) {
			t.Errorf("%s: %s %s: %d %.300s, want %d", c.client, c.method, c.path, status, text, c.status)
		}
	}
	if status, text := answered(t, s.client(t, true, &tls.Config{}), request(t, "GET", s.S3().URL+"/", nil)); status != 0 {
		t.Errorf("without a certificate: %d %s", status, text)
	}
	// A client without a secret has none that could be guessed.
	for _, secret := range []string{"", "backup", "backup.test"} {
		call := s3test.Call{Method: "GET", Path: "/" + granted + "/k"}
		resp, err := call.Streamed(t, s.at("backup", secret), setUp, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 403 {
			t.Errorf("signed with the secret %q: %s", secret, resp.Status)
		}
	}
	// A page in the user's browser may not use the browser's certificate, whatever the bucket's
	// rules let pages do.
	if must(t, setUp, s3test.Call{Method: "PUT", Path: "/" + granted, Query: "cors"}, s.S3(), []byte(corsForAll)) != 200 {
		t.Fatal("no rules")
	}
	for _, method := range []string{"PUT", "GET", "HEAD", "DELETE"} {
		foreign := request(t, method, s.S3().URL+"/"+granted+"/k", nil)
		foreign.Header.Set("Origin", "https://elsewhere.example")
		foreign.Header.Set("Sec-Fetch-Site", "cross-site")
		if status, text := answered(t, clients["backup.test"], foreign); status != 403 {
			t.Errorf("%s by another site's page: %d %s", method, status, text)
		}
	}
	// Nor may a page stored by one client act as another client, in whose browser it is open.
	resp, err := clients["reader"].Do(request(t, "GET", s.S3().URL+"/"+other+"/k?response-content-type=text/html", nil))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode == 200 && (resp.Header.Get("Content-Security-Policy") != "sandbox" || resp.Header.Get("X-Content-Type-Options") != "nosniff") {
		t.Errorf("an object may be a page with the rights of its reader: %v", resp.Header)
	}
	if !strings.Contains(s.Log(), "client=backup ") || !strings.Contains(s.Log(), "client=reader ") {
		t.Errorf("the log does not name the client:\n%s", s.Log())
	}
}

func TestACertificateOfAnotherAuthorityIsNobodys(t *testing.T) {
	t.Parallel()
	list := "- {access-key-id: backup, certificate: backup.test}\n"
	s, clients := mutual(t, list, []string{"--tls-client-auth", "optional"}, map[string][]string{"backup.test": nil})
	if status, text := answered(t, clients["backup.test"], request(t, "GET", s.S3().URL+"/", nil)); status != 200 {
		t.Errorf("%d %s", status, text)
	}
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "c"), filepath.Join(dir, "k")
	lab.NewAuthority(t).Issue(t, "backup.test", cert, key)
	if status, text := answered(t, s.as(t, cert, key), request(t, "GET", s.S3().URL+"/", nil)); status != 0 {
		t.Errorf("of another authority: %d %s", status, text)
	}
	none := s.client(t, true, &tls.Config{})
	if status, text := answered(t, none, request(t, "GET", s.S3().URL+"/", nil)); status != 403 {
		t.Errorf("without one, unsigned: %d %s", status, text)
	}
	if must(t, none, s3test.Call{Method: "GET", Path: "/"}, s.S3(), nil) != 200 {
		t.Error("without one, signed: refused")
	}
}

// A busy connection might never end.
func TestARemovedAuthorityIsNotTrustedEvenOnOldConnections(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, cert, key := filepath.Join(dir, "clients.pem"), filepath.Join(dir, "c"), filepath.Join(dir, "k")
	before, after := lab.NewAuthority(t), lab.NewAuthority(t)
	trust := func(a *lab.Authority) {
		t.Helper()
		raw, err := os.ReadFile(a.File)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	trust(before)
	before.IssueClient(t, "backup.test", nil, cert, key)
	s := secureProxy(t, "--tls-client-ca", file, "--credentials", lab.PrivateFile(t, "- {access-key-id: backup, certificate: backup.test}\n"))
	client := s.as(t, cert, key)
	if status, text := answered(t, client, request(t, "GET", s.S3().URL+"/", nil)); status != 200 {
		t.Fatal(status, text)
	}
	trust(after)
	awaitLog(t, s.ProxyProcess, "the certificates of listen were reloaded")
	if status, text := answered(t, client, request(t, "GET", s.S3().URL+"/", nil)); status != 403 || !strings.Contains(text, "no longer valid") {
		t.Errorf("on the connection from before: %d %s", status, text)
	}
}

func TestSettingsOfTLSThatMeanNothingAreRefused(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	for _, args := range [][]string{
		{"--tls-cert", "a"}, {"--tls-key", "a"}, {"--tls-client-ca", "a"}, {"--tls-client-auth", "optional"},
		{"--tls-cert", "a", "--tls-key", "b", "--plaintext-listen"}, {"--tls-cert", "/nowhere", "--tls-key", "/nowhere"},
		{"--client-burst", "3"}, {"--client-rate", "-1"}, {"--max-requests", "-1"}, {"--idle-timeout", "0"}, {"--client-rate", "NaN"},
	} {
		p := lab.Launch(t, lab.ProxyOptions{Args: args})
		if code, _ := p.Wait(lab.AnswerWithin); code != 2 {
			t.Errorf("%v: exit code %d:\n%s", args, code, p.Log())
		}
	}
}

// The first line says how clients reach the proxy.
func TestTheStartNamesTheCertificatesHost(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	dir := t.TempDir()
	cert, key, authority := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), lab.NewAuthority(t)
	authority.Issue(t, "proxy.test", cert, key)
	p := lab.Proxy(t, lab.ProxyOptions{Args: []string{"--tls-cert", cert, "--tls-key", key}})
	if want := "https://" + p.Address; !strings.Contains(p.Log(), want) {
		t.Errorf("no %s:\n%s", want, p.Log())
	}
	host, port, err := net.SplitHostPort(lab.FreeAddress(t))
	if err != nil {
		t.Fatal(host, err)
	}
	elsewhere := lab.Proxy(t, lab.ProxyOptions{Address: "127.0.0.2:" + port, Args: []string{"--tls-cert", cert, "--tls-key", key}})
	if want := "https://proxy.test:" + port; !strings.Contains(elsewhere.Log(), want) {
		t.Errorf("no %s:\n%s", want, elsewhere.Log())
	}
}
