package forward

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// authority gives the settings of a proxy that ends TLS to its stores.
func authority(t *testing.T) (ca *lab.Authority, args []string) {
	t.Helper()
	ca = lab.NewAuthority(t)
	key := filepath.Join(t.TempDir(), "ca.key")
	ca.WriteKey(t, key)
	return ca, []string{"--intercept", "--intercept-ca-cert", ca.File, "--intercept-ca-key", key}
}

// inside opens TLS behind a CONNECT.
func inside(t *testing.T, p *lab.ProxyProcess, ca *lab.Authority, to, sni string, protocols ...string) (*tls.Conn, error) {
	t.Helper()
	c, _, status := connect(t, p, to)
	if status != 200 {
		t.Fatalf("CONNECT %s: %d", to, status)
	}
	secure := tls.Client(c, &tls.Config{RootCAs: ca.Pool, ServerName: sni, NextProtos: protocols})
	return secure, secure.Handshake()
}

func TestACONNECTToAStoreIsHandledHere(t *testing.T) {
	store := lab.SharedVersitygw(t)
	ca, args := authority(t)
	p := proxy(t, store, args...)
	bucket, body := s3test.NewBucket(t, p.S3()), s3test.Content(5, 3_000_000)
	proxyURL, _ := url.Parse(p.URL)
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		transport := &http.Transport{Proxy: http.ProxyURL(proxyURL), TLSClientConfig: &tls.Config{RootCAs: ca.Pool}, ForceAttemptHTTP2: version == "HTTP/2.0"}
		client := &http.Client{Transport: transport}
		for _, host := range []string{name, bucket + "." + name} {
			path := "/key"
			if host == name {
				path = "/" + bucket + "/key"
			}
			put, _, err := send(client, p, "PUT", host, path, body)
			if err != nil || put.StatusCode != 200 || put.Proto != version {
				t.Fatalf("%s %s: %v, %v", version, host, put, err)
			}
			resp, got, err := send(client, p, "GET", host, path, nil)
			if err != nil || resp.StatusCode != 200 || s3test.SameBytes(got, body) != nil {
				t.Fatalf("%s %s: %v, %v", version, host, resp, err)
			}
			leaf := resp.TLS.PeerCertificates[0]
			if !slices.Equal(leaf.DNSNames, []string{host}) || len(leaf.IPAddresses) > 0 || leaf.IsCA || time.Until(leaf.NotAfter) > 24*time.Hour {
				t.Errorf("the certificate is for %v until %v", leaf.DNSNames, leaf.NotAfter)
			}
		}
		transport.CloseIdleConnections()
	}
	if raw := s3test.RawGet(t, store.S3(), "/"+bucket+"/key"); bytes.Contains(raw.Body, body[:64]) {
		t.Error("the store has plaintext")
	}
}

func send(client *http.Client, p *lab.ProxyProcess, method, host, path string, body []byte) (*http.Response, []byte, error) {
	head, _, _ := (s3test.Call{Method: method, Path: path, Body: body}).Wire(p.S3(), host)
	req, err := http.NewRequest(method, "https://"+host+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	s3test.CopyHead(req, head)
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	var got bytes.Buffer
	_, err = got.ReadFrom(resp.Body)
	return resp, got.Bytes(), err
}

func TestWhatIsEndedHereIsForOneHost(t *testing.T) {
	ca, args := authority(t)
	address, came := canary(t)
	p := proxy(t, lab.SharedVersitygw(t), append(args, "--connect-host", address)...)
	bucket := s3test.NewBucket(t, p.S3())
	for _, sni := range []string{"evil.example.com", "other." + name} {
		c, _, status := connect(t, p, name+":443")
		if status != 200 {
			t.Fatalf("CONNECT: %d", status)
		}
		if err := tls.Client(c, &tls.Config{InsecureSkipVerify: true, ServerName: sni}).Handshake(); err == nil {
			t.Errorf("a client that asks for %s gets a certificate", sni)
		}
	}
	ask := func(text string) s3test.Answer {
		c, err := inside(t, p, ca, name+":443", name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(c, text)
		return s3test.ReadAnswer(bufio.NewReader(c), "GET")
	}
	signed := func(host string) string {
		head, _, _ := (s3test.Call{Method: "GET", Path: "/" + bucket}).Wire(p.S3(), host)
		return string(head)
	}
	if got := ask(signed(name)); got.Status != 200 {
		t.Fatalf("%v", got)
	}
	for what, c := range map[string]struct {
		text string
		want int
	}{
		"another host":            {signed("other." + name), 421},
		"another port":            {signed(name + ":80"), 421},
		"a host of nobody's":      {signed(address), 421},
		"a target":                {strings.Replace(signed(name), "GET /", "GET http://"+address+"/", 1), 400},
		"a target of the store's": {strings.Replace(signed(name), "GET /", "GET https://"+name+"/", 1), 400},
		"a tunnel in it":          {"CONNECT " + address + " HTTP/1.1\r\nHost: " + name + "\r\n" + ours + "\r\n\r\n", 405},
		"nobody":                  {"GET /" + bucket + " HTTP/1.1\r\nHost: " + name + "\r\n" + ours + "\r\n\r\n", 403},
	} {
		if got := ask(c.text); got.Status != c.want {
			t.Errorf("%s: %v, want %d", what, got, c.want)
		}
	}
	if len(came) > 0 {
		t.Error("somebody was asked")
	}
	// Other hosts are never opened: what is there is a tunnel, for clients.
	if _, _, status := connect(t, p, address); status != 407 {
		t.Errorf("another host: %d", status)
	}
	if _, _, status := connect(t, p, "evil.example.com:443", ours); status != 403 {
		t.Errorf("a host that is not allowed: %d", status)
	}
}

// Where a request ends is read in one way, or not at all: what follows an odd one is not answered.
func TestNoRequestHidesInAnotherInside(t *testing.T) {
	ca, args := authority(t)
	p := proxy(t, lab.SharedVersitygw(t), args...)
	bucket := s3test.NewBucket(t, p.S3())
	hidden, _, _ := (s3test.Call{Method: "DELETE", Path: "/" + bucket}).Wire(p.S3(), name)
	head, _, _ := (s3test.Call{Method: "PUT", Path: "/" + bucket + "/k", PayloadHash: s3test.UnsignedPayload}).Wire(p.S3(), name)
	plain := strings.TrimSuffix(strings.Replace(strings.Replace(string(head), "content-length: 0\r\n", "", 1), "connection: close\r\n", "", 1), "\r\n")
	for what, c := range map[string]string{
		"two lengths":             fmt.Sprintf("Content-Length: 0\r\nContent-Length: %d\r\n\r\n", len(hidden)),
		"an odd coding":           "Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n",
		"two codings":             "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
		"a length with a sign":    "Content-Length: +0\r\n\r\n",
		"a name with a blank":     "Content-Length : 0\r\n\r\n",
		"an odd chunk":            "Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
		"a chunk with a sign":     "Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n",
		"a body behind a refusal": fmt.Sprintf("Expect: what\r\nContent-Length: %d\r\n\r\n", len(hidden)),
	} {
		secure, err := inside(t, p, ca, name+":443", name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(secure, plain+c+string(hidden))
		r := bufio.NewReader(secure)
		first, second := s3test.ReadAnswer(r, "PUT"), s3test.ReadAnswer(r, "DELETE")
		if first.Status/100 == 2 || second.Status != 0 {
			t.Errorf("%s: %v, then %v", what, first, second)
		}
	}
	if got := s3test.Get(t, p.S3(), "/"+bucket); got.Status != 200 {
		t.Errorf("the bucket is gone: %v", got)
	}
}

func TestAnAuthorityThatIsNoneStopsTheStart(t *testing.T) {
	if lab.Direct {
		t.Skip("a store is no proxy")
	}
	store, dir := lab.SharedVersitygw(t), t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	ca, other := lab.NewAuthority(t), lab.NewAuthority(t)
	ca.WriteKey(t, file("ca.key"))
	other.WriteKey(t, file("other.key"))
	ca.WriteKey(t, file("open.key"))
	ca.Issue(t, name, file("leaf.pem"), file("leaf.key"))
	if err := os.Chmod(file("open.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		args []string
		want string
	}{
		"a certificate of a host":   {[]string{"--forward-proxy", "--intercept", "--intercept-ca-cert", file("leaf.pem"), "--intercept-ca-key", file("leaf.key")}, "not the certificate of an authority"},
		"another's key":             {[]string{"--forward-proxy", "--intercept", "--intercept-ca-cert", ca.File, "--intercept-ca-key", file("other.key")}, "private key does not match"},
		"a key that all can read":   {[]string{"--forward-proxy", "--intercept", "--intercept-ca-cert", ca.File, "--intercept-ca-key", file("open.key")}, "chmod 600"},
		"no key":                    {[]string{"--forward-proxy", "--intercept", "--intercept-ca-cert", ca.File}, "go together"},
		"files that are not for it": {[]string{"--forward-proxy", "--intercept-ca-cert", ca.File, "--intercept-ca-key", file("ca.key")}, "go together"},
		"no proxy":                  {[]string{"--intercept"}, "not forward-proxy"},
		"a host without a port":     {[]string{"--forward-proxy", "--connect-host", "example.com"}, "connect-host"},
		"an odd address":            {[]string{"--forward-proxy", "--forward-host", "127.1"}, "forward-host"},
	} {
		p := lab.Launch(t, lab.ProxyOptions{Upstream: store, Args: c.args})
		if code, ended := p.Wait(20 * time.Second); !ended || code != 2 || !strings.Contains(p.Log(), c.want) {
			t.Errorf("%s: %d %v: %s", what, code, ended, p.Log())
		}
	}
	address := lab.FreeAddress(t)
	p := lab.Launch(t, lab.ProxyOptions{Upstream: store, UpstreamURL: "http://store.example.com", Address: address, Args: []string{"--forward-proxy"}, Env: []string{"HTTP_PROXY=http://" + address}})
	if code, ended := p.Wait(20 * time.Second); !ended || code != 2 || !strings.Contains(p.Log(), "s3proxy would ask itself") {
		t.Errorf("its own proxy: %d %v: %s", code, ended, p.Log())
	}
}

func TestAnAuthorityIsReadAgain(t *testing.T) {
	old, args := authority(t)
	p := proxy(t, lab.SharedVersitygw(t), args...)
	if _, err := inside(t, p, old, name+":443", name); err != nil {
		t.Fatal(err)
	}
	fresh := lab.NewAuthority(t)
	raw, err := os.ReadFile(fresh.File)
	if err != nil {
		t.Fatal(err)
	}
	fresh.WriteKey(t, args[4])
	if err := os.WriteFile(args[2], raw, 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, "the new authority", func() bool {
		_, err := inside(t, p, fresh, name+":443", name)
		return err == nil
	})
}

// The commands of docs/FORWARD-PROXY.md make an authority that is good for the store, and for
// nothing else.
func TestTheAuthorityOfTheDocsIsGoodForTheStore(t *testing.T) {
	openssl, curl, dir := lab.Need(t, "openssl"), lab.Need(t, "curl"), t.TempDir()
	page, err := os.ReadFile("../../docs/FORWARD-PROXY.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "    openssl req")
	command, _, _ := strings.Cut(rest, "    s3proxy serve")
	command = strings.ReplaceAll("cd "+dir+"\n"+openssl+" req"+command, "s3.example.com", name)
	lab.MustRun(t, lab.Env(), "/bin/sh", "-ec", command)
	ca := filepath.Join(dir, "intercept-ca.pem")
	p := proxy(t, lab.SharedVersitygw(t), "--forward-host", "other.test", "--intercept", "--intercept-ca-cert", ca, "--intercept-ca-key", filepath.Join(dir, "intercept-ca.key"))
	for host, want := range map[string]bool{name: true, "bucket." + name: true, "other.test": false} {
		out, err := lab.RunBoth(t, lab.Env(), curl, "-sS", "--proxy", p.URL, "--cacert", ca, "https://"+host+"/")
		if got := strings.Contains(out, "AccessDenied"); got != want {
			t.Errorf("%s: %s, %v", host, out, err)
		}
	}
}
