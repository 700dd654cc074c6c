// Package forward proves that the listener is a proxy for clients that keep the store's endpoint,
// and one for nothing else.
package forward

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

func TestMain(m *testing.M) { lab.Main(m) }

// name is the store's to clients. No resolver knows it.
const name = "s3.test"

// proxy starts an s3proxy that is a proxy for clients of name, in front of a store.
func proxy(t *testing.T, store *lab.Store, args ...string) *lab.ProxyProcess {
	t.Helper()
	if lab.Direct {
		t.Skip("a store is no proxy")
	}
	return lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: append([]string{"--forward-proxy", "--forward-host", name}, args...)})
}

// named is the proxy's client side under the store's name.
func named(p *lab.ProxyProcess, url string) lab.S3 {
	at := p.S3()
	at.URL = url
	return at
}

// dial connects to a proxy and sends something.
func dial(t *testing.T, p *lab.ProxyProcess, text string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", p.Address, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(lab.AnswerWithin))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

// absolute sends a call signed for a host to a target that is no path.
func absolute(t *testing.T, p *lab.ProxyProcess, c s3test.Call, signed, target string) s3test.Answer {
	t.Helper()
	head, body, _ := c.Wire(p.S3(), signed)
	_, rest, _ := strings.Cut(string(head), "\r\n")
	_, r := dial(t, p, fmt.Sprintf("%s %s HTTP/1.1\r\n%s%s", c.Method, target, rest, body))
	return s3test.ReadAnswer(r, c.Method)
}

// connect asks for a tunnel, and gives its answer's status.
func connect(t *testing.T, p *lab.ProxyProcess, to string, headers ...string) (net.Conn, *bufio.Reader, int) {
	t.Helper()
	text := "CONNECT " + to + " HTTP/1.1\r\nHost: " + to + "\r\n"
	for _, h := range headers {
		text += h + "\r\n"
	}
	conn, r := dial(t, p, text+"\r\n")
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil {
		t.Fatalf("CONNECT %s: %v", to, err)
	}
	return conn, r, resp.StatusCode
}

// authorization is that of the proxy's client.
func authorization(id, secret string) string {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(id, secret)
	return "Proxy-Authorization: " + r.Header.Get("Authorization")
}

var ours = authorization(lab.ClientAccessKey, lab.ClientSecretKey)

// await waits until something is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: waited in vain", what)
		}
	}
}
