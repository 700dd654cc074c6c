package forward

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// echo answers with what it gets, until the other side ends.
func echo(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(c, c); c.Close() }()
		}
	}()
	return l.Addr().String()
}

func wantEcho(t *testing.T, c net.Conn, r *bufio.Reader, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != text {
		t.Fatalf("%q comes back, %v", got, err)
	}
}

func TestATunnelToTheStoreIsOneAndTheLogsSaySo(t *testing.T) {
	store := lab.SharedVersitygw(t)
	audit, metrics := filepath.Join(t.TempDir(), "audit.jsonl"), lab.FreeAddress(t)
	p := proxy(t, store, "--audit-log", audit, "--metrics-listen", metrics)
	bucket := s3test.NewBucket(t, store.S3())
	conn, r, status := connect(t, p, strings.TrimPrefix(store.URL, "http://"), ours)
	if status != 200 {
		t.Fatalf("CONNECT gets %d", status)
	}
	head, body, _ := (s3test.Call{Method: "PUT", Path: "/" + bucket + "/plain", Body: []byte("in the clear")}).Wire(store.S3(), strings.TrimPrefix(store.URL, "http://"))
	if _, err := conn.Write(append(head, body...)); err != nil {
		t.Fatal(err)
	}
	if got := s3test.ReadAnswer(r, "PUT"); got.Status != 200 {
		t.Fatalf("%v", got)
	}
	if raw := s3test.RawGet(t, store.S3(), "/"+bucket+"/plain"); string(raw.Body) != "in the clear" {
		t.Errorf("the store has %q", raw.Body)
	}
	await(t, "the event of the tunnel", func() bool {
		raw, err := os.ReadFile(audit)
		return err == nil && strings.Contains(string(raw), `"event":"connect"`)
	})
	for _, want := range []string{"a tunnel was opened: what goes through it is not encrypted by s3proxy", "client=" + lab.ClientAccessKey} {
		if !strings.Contains(p.Log(), want) {
			t.Errorf("the log does not say %q", want)
		}
	}
	if strings.Contains(p.Log(), lab.ClientSecretKey) || strings.Contains(p.Log(), "Basic") {
		t.Error("the log has a secret")
	}
	var event struct {
		Event, Result, Client, Host string
		Encrypted                   bool
		Sent, Received              int64
	}
	raw, err := os.ReadFile(audit)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if strings.Contains(line, `"event":"connect"`) {
			if err := json.Unmarshal([]byte(line), &event); err != nil {
				t.Fatal(err)
			}
		}
	}
	if event.Result != "opened" || event.Client != lab.ClientAccessKey || event.Encrypted || event.Sent == 0 || event.Received < int64(len(head)) {
		t.Errorf("the audit log has %+v", event)
	}
	resp, err := http.Get("http://" + metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	if !strings.Contains(string(text), `s3proxy_connects_total{result="opened"} 1`) || !strings.Contains(string(text), "s3proxy_tunnels 0") {
		t.Error("the metrics do not tell of the tunnel")
	}
}

func TestATunnelLeadsOnlyWhereItMay(t *testing.T) {
	store, allowed := lab.SharedVersitygw(t), echo(t)
	admin := lab.FreeAddress(t)
	p := proxy(t, store, "--connect-host", allowed, "--connect-host", "*.allowed.test:443", "--connect-host", admin, "--metrics-listen", admin)
	address, came := canary(t)
	_, port, _ := net.SplitHostPort(address)
	c, r, status := connect(t, p, allowed, ours)
	if status != 200 {
		t.Fatalf("an allowed host: %d", status)
	}
	wantEcho(t, c, r, "hello")
	for to, want := range map[string]int{
		address: 403, "localhost:" + port: 403, "[::ffff:127.0.0.1]:" + port: 403, "127.1:" + port: 400, "2130706433:" + port: 400, "0x7f.1:" + port: 400,
		"169.254.169.254:80": 403, "evil.example.com:443": 403, strings.TrimPrefix(store.URL, "http://"): 403, // the list takes the store's place
		"allowed.test:443": 403, "x.allowed.test:80": 403, "x.allowed.test.evil.com:443": 403, "evilallowed.test:443": 403,
		p.Address: 403, admin: 403, // in the list, and still ourselves
		"user@" + allowed: 400, "127.0.0.1": 400, "127.0.0.1:": 400, ":" + port: 400, "127.0.0.1:0": 400, "127.0.0.1:+" + port: 400, "127.0.0.1:0" + port: 400, "127.0.0.1:99999": 400,
		"http://" + address + "/": 400, "/": 400, "*": 400,
	} {
		if _, _, status := connect(t, p, to, ours); status != want {
			t.Errorf("%s: %d, want %d", to, status, want)
		}
	}
	if len(came) > 0 {
		t.Error("somebody was asked")
	}
}

func TestATunnelIsForClientsOnly(t *testing.T) {
	allowed := echo(t)
	p := proxy(t, lab.SharedVersitygw(t), "--connect-host", allowed)
	for what, headers := range map[string][]string{
		"nobody": nil, "a wrong secret": {authorization(lab.ClientAccessKey, "wrong")}, "no secret": {authorization(lab.ClientAccessKey, "")}, "somebody else": {authorization("other", lab.ClientSecretKey)},
		"two": {ours, ours}, "another scheme": {"Proxy-Authorization: Bearer " + lab.ClientSecretKey}, "the header of the target": {strings.Replace(ours, "Proxy-", "", 1)},
	} {
		_, r, status := connect(t, p, allowed, headers...)
		if status != 407 {
			t.Errorf("%s: %d", what, status)
			continue
		}
		if text, _ := io.ReadAll(r); strings.Contains(string(text), lab.ClientSecretKey) {
			t.Errorf("%s: %s", what, text)
		}
	}
	if _, _, status := connect(t, p, "other.example.com:443"); status != 407 {
		t.Errorf("whoever shows nothing learns what is allowed: %d", status)
	}
	anyone := lab.Proxy(t, lab.ProxyOptions{Upstream: lab.SharedVersitygw(t), NoKeys: true, Args: []string{"--auth", "none", "--forward-proxy", "--connect-host", allowed}})
	c, r, status := connect(t, anyone, allowed)
	if status != 200 {
		t.Fatalf("without authentication: %d", status)
	}
	wantEcho(t, c, r, "hello")
}

func TestAClientCertificateOpensATunnel(t *testing.T) {
	if lab.Direct {
		t.Skip("a store is no proxy")
	}
	allowed, ca, dir := echo(t), lab.NewAuthority(t), t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	ca.Issue(t, "proxy.test", file("s.pem"), file("s.key"))
	ca.IssueClient(t, "etl", []string{"etl.test"}, file("c.pem"), file("c.key"))
	ca.IssueClient(t, "stranger", []string{"stranger.test"}, file("x.pem"), file("x.key"))
	settings := lab.PrivateFile(t, "credentials:\n  - {access-key-id: etl, certificate: etl.test}\n")
	p := lab.Proxy(t, lab.ProxyOptions{Upstream: lab.SharedVersitygw(t), Args: []string{"--forward-proxy", "--connect-host", allowed, "--config", settings,
		"--tls-cert", file("s.pem"), "--tls-key", file("s.key"), "--tls-client-ca", ca.File, "--tls-client-auth", "optional"}})
	for cert, want := range map[string]int{"c": 200, "x": 407, "": 407} {
		conf := &tls.Config{RootCAs: ca.Pool, ServerName: "proxy.test"}
		if cert != "" {
			pair, err := tls.LoadX509KeyPair(file(cert+".pem"), file(cert+".key"))
			if err != nil {
				t.Fatal(err)
			}
			conf.Certificates = []tls.Certificate{pair}
		}
		c, err := tls.Dial("tcp", p.Address, conf)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(lab.AnswerWithin))
		fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: x\r\n\r\n", allowed)
		r := bufio.NewReader(c)
		resp, err := http.ReadResponse(r, &http.Request{Method: "CONNECT"})
		if err != nil || resp.StatusCode != want {
			t.Errorf("%q: %v, %v, want %d", cert, resp, err, want)
			continue
		}
		if want == 200 {
			wantEcho(t, c, r, "hello over TLS")
		}
	}
	// HTTP/2 has another CONNECT.
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool, ServerName: "proxy.test"}, ForceAttemptHTTP2: true}}
	req, _ := http.NewRequest(http.MethodConnect, "https://"+p.Address, nil)
	req.Host = allowed
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.StatusCode != http.StatusNotImplemented {
		t.Errorf("over HTTP/2: %s", resp.Status)
	}
}

// What a client sends behind a CONNECT is for the other end. If there is none, it is for nobody.
func TestNothingBehindARefusedCONNECTIsARequest(t *testing.T) {
	store := lab.SharedVersitygw(t)
	p := proxy(t, store)
	bucket := s3test.NewBucket(t, p.S3())
	head, body, _ := (s3test.Call{Method: "PUT", Path: "/" + bucket + "/smuggled", Body: []byte("x")}).Wire(p.S3(), p.Address)
	for what, begin := range map[string]string{
		"a host that is not allowed": "CONNECT evil.example.com:443 HTTP/1.1\r\nHost: x\r\n" + ours + "\r\n\r\n",
		"nobody":                     "CONNECT evil.example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n",
		"a body":                     fmt.Sprintf("CONNECT %s HTTP/1.1\r\nHost: x\r\n%s\r\nContent-Length: %d\r\n\r\n", strings.TrimPrefix(store.URL, "http://"), ours, len(head)+len(body)),
		"a chunked body":             "CONNECT " + strings.TrimPrefix(store.URL, "http://") + " HTTP/1.1\r\nHost: x\r\n" + ours + "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.0 that goes on":      "CONNECT evil.example.com:443 HTTP/1.0\r\nConnection: keep-alive\r\n" + ours + "\r\n\r\n",
	} {
		_, r := dial(t, p, begin+string(head)+string(body))
		if got := s3test.ReadAnswer(r, "GET"); got.Status/100 != 4 {
			t.Errorf("%s: %v", what, got)
		}
		if got := s3test.ReadAnswer(r, "PUT"); got.Status != 0 {
			t.Errorf("%s: what follows is answered: %v", what, got)
		}
	}
	if got := s3test.Get(t, p.S3(), "/"+bucket+"/smuggled"); got.Status != 404 {
		t.Errorf("%v", got)
	}
}

func TestBytesThatComeWithACONNECTGoThrough(t *testing.T) {
	allowed := echo(t)
	p := proxy(t, lab.SharedVersitygw(t), "--connect-host", allowed)
	for _, version := range []string{"1.1", "1.0"} { // Python's before 3.12 is 1.0, without Host
		host := "Host: " + allowed + "\r\n"
		if version == "1.0" {
			host = ""
		}
		_, r := dial(t, p, "CONNECT "+allowed+" HTTP/"+version+"\r\n"+host+ours+"\r\n\r\nearly")
		resp, err := http.ReadResponse(r, &http.Request{Method: "CONNECT"})
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("%v, %v", resp, err)
		}
		got := make([]byte, 5)
		if _, err := io.ReadFull(r, got); err != nil || string(got) != "early" {
			t.Errorf("HTTP/%s: %q, %v", version, got, err)
		}
	}
}

func TestAThousandIdleTunnelsAreBounded(t *testing.T) {
	lab.TakesLong(t)
	allowed := echo(t)
	p := proxy(t, lab.SharedVersitygw(t), "--connect-host", allowed, "--max-tunnels", "20", "--idle-timeout", "5s")
	bucket := s3test.NewBucket(t, p.S3())
	var opened, limited atomic.Int64
	var all sync.WaitGroup
	for range 1000 {
		all.Go(func() {
			c, err := net.DialTimeout("tcp", p.Address, 10*time.Second)
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { c.Close() })
			c.SetDeadline(time.Now().Add(time.Minute))
			fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", allowed, ours)
			resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: "CONNECT"})
			switch {
			case err != nil:
				t.Error(err)
			case resp.StatusCode == 200:
				opened.Add(1)
			case resp.StatusCode == 503:
				limited.Add(1)
			}
		})
	}
	all.Wait()
	if opened.Load()+limited.Load() != 1000 || opened.Load() < 20 || opened.Load() > 60 { // some end in the meantime
		t.Errorf("%d opened, %d refused", opened.Load(), limited.Load())
	}
	s3test.RoundTrip(t, p.S3(), bucket, 1000)
	// They are silent, and make room.
	await(t, "room for a tunnel", func() bool {
		_, _, status := connect(t, p, allowed, ours)
		return status == 200
	})
}

func TestATunnelThatIsSilentEnds(t *testing.T) {
	allowed := echo(t)
	p := proxy(t, lab.SharedVersitygw(t), "--connect-host", allowed, "--idle-timeout", "1s")
	c, r, _ := connect(t, p, allowed, ours)
	for range 4 { // longer than the limit, but never silent for as long
		time.Sleep(400 * time.Millisecond)
		wantEcho(t, c, r, "still here")
	}
	begin := time.Now()
	if _, err := r.ReadByte(); err == nil || time.Since(begin) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
}

func TestWhoeverIsSlowWithACONNECTIsCut(t *testing.T) {
	p := proxy(t, lab.SharedVersitygw(t), "--header-timeout", "1s")
	_, r := dial(t, p, "CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost:")
	begin := time.Now()
	if _, err := io.ReadAll(r); time.Since(begin) > 10*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
}

func TestTunnelsDoNotOutliveTheProxy(t *testing.T) {
	allowed := echo(t)
	p := proxy(t, lab.SharedVersitygw(t), "--connect-host", allowed, "--drain-timeout", "4s")
	_, idle, _ := connect(t, p, allowed, ours)
	busy, busyReader, _ := connect(t, p, allowed, ours)
	p.Term()
	begin := time.Now()
	ended := make(chan time.Duration, 1)
	go func() { io.ReadAll(idle); ended <- time.Since(begin) }()
	var cut time.Duration
	for cut == 0 {
		busy.SetDeadline(time.Now().Add(10 * time.Second))
		_, err := io.WriteString(busy, "x")
		if err == nil {
			_, err = busyReader.ReadByte()
		}
		if err != nil {
			cut = time.Since(begin)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if silent := <-ended; silent > 3500*time.Millisecond || cut < 3*time.Second || cut > 15*time.Second {
		t.Errorf("the silent one ends after %v, the busy one after %v", silent, cut)
	}
	if _, done := p.Wait(10 * time.Second); !done {
		t.Error("the process does not end")
	}
}
