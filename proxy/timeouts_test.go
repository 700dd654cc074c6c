package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/s3proxy/s3proxy/proxy/sigv4"
)

// hastyProxy is a proxy before a fake store that waits for documents and forms for a
// moment only.
func hastyProxy(t *testing.T, f *fakeStore) *httptest.Server {
	t.Helper()
	s := proxyBefore(t, f, "us-east-1")
	s.Config.Handler.(*Proxy).documentTime = 300 * time.Millisecond
	return s
}

// trickle sends a request whose body comes a byte every 20 ms, beginning with start, and
// tells how long it took until the connection was closed.
func trickle(t *testing.T, s *httptest.Server, method, path string, header http.Header, start string) (answer string, took time.Duration) {
	t.Helper()
	r, err := http.NewRequest(method, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	if header.Get("Content-Type") == "" {
		creds := aws.Credentials{AccessKeyID: "client", SecretAccessKey: "secret"}
		if err := sigv4.NewSigner("us-east-1").Sign(t.Context(), r, creds, sigv4.UnsignedPayload, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 10000\r\n", method, path, r.URL.Host)
	if err := r.Header.Write(conn); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "\r\n%s", start)
	began := time.Now()
	closed := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(bufio.NewReader(conn))
		closed <- string(text)
	}()
	for {
		select {
		case text := <-closed:
			return text, time.Since(began)
		case <-time.After(20 * time.Millisecond):
			_, _ = io.WriteString(conn, "x")
		}
		if time.Since(began) > drainTimeout+4*time.Second {
			t.Fatalf("%s %s: the trickle is still read", method, path)
		}
	}
}

func TestATrickleEndsAtADeadlineBeforeItIsKnownToBeWorthMore(t *testing.T) {
	t.Parallel()
	s := hastyProxy(t, &fakeStore{})
	form := http.Header{"Content-Type": {"multipart/form-data; boundary=b"}}
	for name, c := range map[string]struct {
		method, path string
		header       http.Header
		start        string
	}{
		"the fields of a form":                {"POST", "/bucket", form, "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n"},
		"the file of a form without a policy": {"POST", "/bucket", form, "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nk\r\n--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n"},
		"a document":                          {"POST", "/bucket?delete=", nil, "<Delete>"},
		"a setting's document":                {"PUT", "/bucket?tagging=", nil, "<Tagging>"},
		"a body that nobody reads":            {"PUT", "/bucket/k", http.Header{"Content-Type": {"text/plain"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if answer, took := trickle(t, s, c.method, c.path, c.header, c.start); !strings.HasPrefix(answer, "HTTP/1.1 4") {
				t.Errorf("after %v: %q", took, answer)
			}
		})
	}
}

func TestAFormThatMayBeStoredHasTimeForItsFile(t *testing.T) {
	t.Parallel()
	f := &fakeStore{}
	s := hastyProxy(t, f)
	kind, body := encodeForm(t, signForm("bucket", "k"), []byte("the content"))
	half := strings.Index(string(body), "content")
	in, out := io.Pipe()
	go func() {
		_, _ = out.Write(body[:half])
		time.Sleep(600 * time.Millisecond)
		_, _ = out.Write(body[half:])
		out.Close()
	}()
	r, err := http.NewRequestWithContext(t.Context(), "POST", s.URL+"/bucket", in)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = int64(len(body))
	r.Header.Set("Content-Type", kind)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusNoContent {
		t.Errorf("%s %s", resp.Status, text)
	}
}

// net/http takes a deadline that passes behind the body for a client that has gone.
func TestAStoreMayTakeLongerForADocumentThanTheClientMay(t *testing.T) {
	t.Parallel()
	f := &fakeStore{hook: func(w http.ResponseWriter, r *http.Request) bool {
		if !r.URL.Query().Has("tagging") {
			return false
		}
		time.Sleep(600 * time.Millisecond)
		return true
	}}
	s := hastyProxy(t, f)
	if resp, text := ask(t, s, "PUT", "/bucket?tagging=", []byte("<Tagging/>")); resp.StatusCode != http.StatusOK {
		t.Errorf("%s %s", resp.Status, text)
	}
}
