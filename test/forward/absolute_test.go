package forward

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

func TestRequestsForAStoresHostAreHandledLikeDirectOnes(t *testing.T) {
	store := lab.SharedVersitygw(t)
	p := proxy(t, store)
	bucket, body := s3test.NewBucket(t, p.S3()), s3test.Content(3, 70_000)
	s3test.MustPut(t, p.S3(), "/"+bucket+"/a/key%20%C3%A4", body)
	own := strings.TrimPrefix(store.URL, "http://")
	const path = "/a/key%20%C3%A4"
	for what, c := range map[string]struct{ signed, path, target string }{
		"in the path":              {name, "/" + bucket + path, "http://" + name + "/" + bucket + path},
		"in the host":              {bucket + "." + name, path, "http://" + bucket + "." + name + path},
		"with http's port":         {name, "/" + bucket + path, "http://" + name + ":80/" + bucket + path},
		"by the store's own URL":   {own, "/" + bucket + path, store.URL + "/" + bucket + path},
		"in capitals":              {"S3.TEST", "/" + bucket + path, "HTTP://S3.TEST/" + bucket + path},
		"with the dot of the root": {name + ".", "/" + bucket + path, "http://" + name + "./" + bucket + path},
		"as ever":                  {name, "/" + bucket + path, "/" + bucket + path},
	} {
		got := absolute(t, p, s3test.Call{Method: "GET", Path: c.path}, c.signed, c.target)
		if got.Status != 200 || s3test.SameBytes(got.Body, body) != nil {
			t.Errorf("%s: %v", what, got)
		}
	}
	if got := absolute(t, p, s3test.Call{Method: "GET", Path: "/"}, name, "http://"+name); got.Status != 200 || !strings.Contains(string(got.Body), bucket) {
		t.Errorf("without a path: %v", got)
	}
	if got := absolute(t, p, s3test.Call{Method: "GET", Path: "/", Query: "list-type=2"}, bucket+"."+name, "http://"+bucket+"."+name+"?list-type=2"); got.Status != 200 || !strings.Contains(string(got.Body), "<Key>") {
		t.Errorf("a query without a path: %v", got)
	}
	// What is written so is encrypted.
	put := s3test.Call{Method: "PUT", Path: "/put", Body: body}
	if got := absolute(t, p, put, bucket+"."+name, "http://"+bucket+"."+name+"/put"); got.Status != 200 {
		t.Fatalf("%v", got)
	}
	if raw := s3test.RawGet(t, store.S3(), "/"+bucket+"/put"); strings.Contains(string(raw.Body), string(body[:64])) || len(raw.Body) <= len(body) {
		t.Error("the store has plaintext")
	}
	s3test.MustGet(t, p.S3(), bucket, "put", body)
}

// The target's host is what counts (RFC 9112, 3.2.2), and a signature is for one host.
func TestASignatureForAnotherHostThanTheTargetsDoesNotFit(t *testing.T) {
	p := proxy(t, lab.SharedVersitygw(t))
	bucket := s3test.NewBucket(t, p.S3())
	call := s3test.Call{Method: "GET", Path: "/" + bucket}
	if got := absolute(t, p, call, "other.example.com", "http://"+name+"/"+bucket); got.Code != "SignatureDoesNotMatch" {
		t.Errorf("signed for another: %v", got)
	}
	head, _, _ := call.Wire(p.S3(), name)
	_, rest, _ := strings.Cut(string(head), "\r\n")
	rest = strings.Replace(rest, "host: "+name, "host: evil.example.com", 1)
	_, r := dial(t, p, "GET http://"+name+"/"+bucket+" HTTP/1.1\r\n"+rest)
	if got := s3test.ReadAnswer(r, "GET"); got.Status != 200 {
		t.Errorf("signed for the target, with another Host: %v", got)
	}
}

// canary listens on loopback and tells whether anybody came.
func canary(t *testing.T) (address string, came chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	came = make(chan struct{}, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			came <- struct{}{}
			c.Close()
		}
	}()
	return l.Addr().String(), came
}

func TestAHostThatIsNoStoresIsRefusedUnderEveryName(t *testing.T) {
	p := proxy(t, lab.SharedVersitygw(t), "--log-level", "trace")
	address, came := canary(t)
	_, port, _ := net.SplitHostPort(address)
	for _, target := range []string{
		"http://" + address + "/", "http://localhost:" + port + "/", "http://[::1]:" + port + "/", "http://[::ffff:127.0.0.1]:" + port + "/", "http://127.1:" + port + "/",
		"http://2130706433:" + port + "/", "http://0x7f000001:" + port + "/", "http://0177.0.0.1:" + port + "/", "http://0:" + port + "/", "http://[::]:" + port + "/",
		"http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://metadata.google.internal/",
		"http://evil.example.com/", "http://" + name + ".evil.example.com/", "http://evil" + name + "/", "http://" + name + ":22/", "http://" + name + ":" + port + "/",
		"http://" + name + "@" + address + "/", "http://user:pa55word@" + name + "/", "http://" + address + "#@" + name + "/", "http://" + address + "?@" + name + "/",
		"http://" + name + "%2f@" + address + "/", "http://" + address + "\\@" + name + "/", "http://" + name + "%00." + address + "/", "http://ſ3.test/", "http://xn--3-fka.test/",
		"http://.." + name + "/", "http://" + name + "../", "http://a.." + name + "/", "http://" + name + ":080/", "http://" + name + ":0/", "http://" + name + ":65616/", "http:///", "http:" + name + "/", "http:/" + name + "/",
		"https://" + name + "/", "ftp://" + name + "/", "file:///etc/passwd", "gopher://" + address + "/",
	} {
		got := absolute(t, p, s3test.Call{Method: "GET", Path: "/"}, name, target)
		if got.Status != 403 && got.Status != 400 {
			t.Errorf("%s: %v", target, got)
		}
		if strings.HasPrefix(target, "http://evil.") && !strings.Contains(got.Text, "--forward-host") {
			t.Errorf("%s: %v", target, got)
		}
	}
	for _, to := range []string{"user:pa55word@" + name + ":443", "http://" + name + "/?X-Amz-Signature=pa55word"} {
		_, r := dial(t, p, "CONNECT "+to+" HTTP/1.1\r\nHost: "+name+"\r\n"+ours+"\r\n\r\n")
		if got := s3test.ReadAnswer(r, "GET"); got.Status != 400 {
			t.Errorf("%s: %v", to, got)
		}
	}
	if log := p.Log(); strings.Contains(log, "pa55word") {
		t.Error("the log has a password")
	}
	select {
	case <-came:
		t.Error("somebody was asked")
	case <-time.After(200 * time.Millisecond):
	}
}

// Whatever a client says of its connection stays between it and the proxy.
func TestHeadersOfTheConnectionGoNoFurther(t *testing.T) {
	store := lab.SharedVersitygw(t)
	through := lab.Count(t, store)
	leaked := make(chan string, 100)
	through.First = func(r *http.Request) {
		for header := range r.Header {
			if strings.HasPrefix(header, "Proxy-") || header == "X-Hop" {
				leaked <- header
			}
		}
	}
	p := lab.Proxy(t, lab.ProxyOptions{Upstream: store, UpstreamURL: through.URL, Args: []string{"--forward-proxy", "--forward-host", name, "--log-level", "trace"}})
	bucket := s3test.NewBucket(t, p.S3())
	call := s3test.Call{Method: "GET", Path: "/" + bucket}
	head, _, _ := call.Wire(p.S3(), name)
	_, rest, _ := strings.Cut(string(head), "\r\n")
	_, r := dial(t, p, "GET http://"+name+"/"+bucket+" HTTP/1.1\r\nProxy-Authorization: Basic c2VjcmV0OnNlY3JldA==\r\nProxy-Connection: Keep-Alive\r\nX-Hop: a\r\n"+rest)
	if got := s3test.ReadAnswer(r, "GET"); got.Status != 200 {
		t.Errorf("%v", got)
	}
	if log := p.Log(); strings.Contains(log, "c2VjcmV0") || strings.Contains(log, "Proxy-") {
		t.Error("the log has a header of the connection")
	}
	if len(leaked) > 0 {
		t.Errorf("the store gets %s", <-leaked)
	}
}

func TestWithoutTheSettingNobodyIsAProxy(t *testing.T) {
	if lab.Direct {
		t.Skip("a store is no proxy")
	}
	p := lab.Proxy(t, lab.ProxyOptions{Upstream: lab.SharedVersitygw(t)})
	address, came := canary(t)
	if _, _, status := connect(t, p, address, ours); status/100 == 2 {
		t.Errorf("CONNECT gets %d", status)
	}
	if got := absolute(t, p, s3test.Call{Method: "GET", Path: "/"}, name, "http://"+address+"/"); got.Status/100 == 2 {
		t.Errorf("%v", got)
	}
	if len(came) > 0 {
		t.Error("somebody was asked")
	}
}

// Without authentication a browser's user must not be made to ask for what a page of another site
// wants; a proxy's client may name the store all the same.
func TestWithoutAuthenticationClientsOfAProxyMayNameTheStore(t *testing.T) {
	if lab.Direct {
		t.Skip("a store is no proxy")
	}
	p := lab.Proxy(t, lab.ProxyOptions{Upstream: lab.SharedVersitygw(t), NoKeys: true, Args: []string{"--auth", "none", "--forward-proxy", "--forward-host", name}})
	for target, want := range map[string]int{"http://" + name + "/": 200, "/": 403} {
		_, r := dial(t, p, "GET "+target+" HTTP/1.1\r\nHost: "+name+"\r\nConnection: close\r\n\r\n")
		if got := s3test.ReadAnswer(r, "GET"); got.Status != want {
			t.Errorf("%s: %v, want %d", target, got, want)
		}
		_, r = dial(t, p, "GET "+target+" HTTP/1.1\r\nHost: "+name+"\r\nOrigin: http://evil.example.com\r\nSec-Fetch-Site: cross-site\r\nConnection: close\r\n\r\n")
		if got := s3test.ReadAnswer(r, "GET"); got.Status != 403 {
			t.Errorf("%s from a page of another site: %v", target, got)
		}
	}
}
