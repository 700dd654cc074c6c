package limits

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// slowClients are clients that move 8 MiB a byte now and then for a while, half of them uploading,
// half downloading. Those that the proxy lets in stay. It returns their number, and that of the
// refused.
func slowClients(t *testing.T, p *lab.ProxyProcess, n int, while time.Duration, path string) (in, refused int64) {
	t.Helper()
	const size = 8 << 20
	var served, away atomic.Int64
	end := time.Now().Add(while)
	crowd(t, p, n, func(i int, c net.Conn) {
		call := s3test.Call{Method: http.MethodGet, Path: path}
		if i%2 == 0 {
			call = s3test.Call{Method: http.MethodPut, Path: fmt.Sprintf("%s-%d", path, i), PayloadHash: s3test.UnsignedPayload, Length: size}
		}
		head, _, _ := call.Wire(p.S3(), p.Address)
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetReadBuffer(4096) // small, so that the proxy has to wait
		}
		if _, err := c.Write(head); err != nil {
			t.Error(err)
			return
		}
		if i%2 == 0 {
			_, _ = c.Write(make([]byte, 200_000))
		}
		status := make([]byte, 12)
		for time.Now().Before(end) {
			_ = c.SetReadDeadline(time.Now().Add(time.Second))
			if i%2 == 0 {
				_, _ = c.Write([]byte("x"))
			}
			got, err := io.ReadFull(c, status)
			switch text := string(status[:got]); {
			case strings.HasPrefix(text, "HTTP/1.1 503"):
				refused := io.LimitReader(c, 1000)
				_ = c.SetReadDeadline(time.Now().Add(time.Second))
				body, _ := io.ReadAll(refused)
				// To a client that still sends, the end of the connection may arrive before the
				// answer.
				if !bytes.Contains(body, []byte("<Code>SlowDown</Code>")) && (len(body) > 0 || i%2 != 0) {
					t.Errorf("refused by %.300q", body)
				}
				away.Add(1)
				return
			case err != nil && got == 0 && i%2 == 0: // no answer: the proxy waits for the body
			case err != nil && !isTimeout(err):
				t.Errorf("client %d: %v after %q", i, err, text)
				return
			}
		}
		served.Add(1)
	})
	return served.Load(), away.Load()
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}

// Clients over the limit are told to come back, clients with another key are served, and memory
// stays within the needs of the requests that are let in.
func TestTwoThousandSlowClientsNeedLittleMemory(t *testing.T) {
	lab.TakesLong(t)
	list := lab.PrivateFile(t, "- {access-key-id: other, secret-access-key: other-secret}\n")
	p, goroutines := watched(t, "--client-max-requests", "300", "--credentials", list)
	bucket := s3test.NewBucket(t, p.S3())
	path := "/" + bucket + "/k"
	s3test.MustPut(t, p.S3(), path, s3test.Content(1, 8<<20))
	before, over := goroutines(), make(chan struct{})
	var served int
	go func() {
		defer close(over)
		other := lab.ProxyAs(p, "other", "other-secret")
		for end := time.Now().Add(15 * time.Second); time.Now().Before(end); served++ {
			if a := s3test.Get(t, other, path); a.Status != 200 || a.Err != nil || len(a.Body) != 8<<20 {
				t.Errorf("another client: %v", a)
			}
		}
	}()
	in, refused := slowClients(t, p, 2000, 15*time.Second, path)
	<-over
	t.Logf("%d in, %d refused, %d whole objects of another client", in, refused, served)
	if in > 300 || in < 200 || refused < 1000 || served < 3 {
		t.Errorf("%d in, %d refused, %d whole objects of another client", in, refused, served)
	}
	flat(t, p, littleMemory+300<<19, before, goroutines)
}

func TestRequestsOverALimitGetSlowDown(t *testing.T) {
	t.Parallel()
	list := lab.PrivateFile(t, "- {access-key-id: other, secret-access-key: other-secret}\n")
	p, _ := watched(t, "--client-rate", "2", "--client-burst", "10", "--credentials", list)
	bucket := s3test.NewBucket(t, p.S3())
	at, other := p.S3(), lab.ProxyAs(p, "other", "other-secret")
	refused := 0
	for range 30 {
		switch a := (s3test.Call{Method: "PUT", Path: "/" + bucket + "/k", Body: s3test.Content(1, 1000)}).Do(t, at); {
		case a.Status == 200:
		case a.Code == "SlowDown" && a.Status == 503 && a.Header.Get("Retry-After") == "1":
			refused++
		default:
			t.Error(a)
		}
	}
	if refused < 10 || refused > 25 {
		t.Errorf("%d of 30 were refused", refused)
	}
	if a := s3test.Get(t, other, "/"+bucket+"/k"); a.Status != 200 {
		t.Errorf("another client: %v", a)
	}
	// Requests without a valid signature take nothing from the limit of the key that they name.
	for range 30 {
		s3test.Get(t, lab.S3{URL: p.URL, AccessKey: "other", SecretKey: "wrong"}, "/"+bucket+"/k")
	}
	if a := s3test.Get(t, other, "/"+bucket+"/k"); a.Status != 200 {
		t.Errorf("after forged requests in another client's name: %v", a)
	}
	// Preflights need no key, but have a limit: the one for all unsigned requests.
	preflights := 0
	for range 30 {
		headers := map[string]string{"origin": "https://a.example", "access-control-request-method": "GET"}
		if a := (s3test.Call{Method: "OPTIONS", Path: "/" + bucket + "/k", Unsigned: true, Headers: headers}).Do(t, at); a.Status == 503 {
			preflights++
		}
	}
	if preflights < 10 {
		t.Errorf("%d of 30 preflights were refused", preflights)
	}
	// SDKs wait for a random time and try again. By default they do it twice, which may be too soon
	// for a limit of two a second.
	options := s3test.SDK(t, at).Options()
	options.RetryMaxAttempts = 10
	sdk := s3.New(options)
	for range 8 {
		s3test.MustRead(t, sdk, bucket, "k", s3test.Content(1, 1000))
	}
	if strings.Contains(p.Log(), "level=WARN") {
		t.Error("a client that asks too often is a warning")
	}
}

// A request that ends frees its place, however it ends.
func TestARequestThatEndsMakesRoomForTheNext(t *testing.T) {
	t.Parallel()
	p, _ := watched(t, "--max-requests", "2")
	at := p.S3()
	bucket := s3test.NewBucket(t, at)
	waiting := func() net.Conn {
		t.Helper()
		call := s3test.Call{Method: http.MethodPut, Path: "/" + bucket + "/waiting", PayloadHash: s3test.UnsignedPayload, Length: 8 << 20}
		head, _, _ := call.Wire(at, p.Address)
		for range 100 {
			c, err := net.Dial("tcp", p.Address)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			if _, err := c.Write(head); err != nil {
				t.Fatal(err)
			}
			_ = c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
			if n, err := c.Read(make([]byte, 1)); n == 0 && isTimeout(err) {
				return c
			}
			// A request that was just answered still holds its place.
		}
		t.Fatal("no place became free")
		return nil
	}
	becomes := func(want int) {
		t.Helper()
		got := 0
		for deadline := time.Now().Add(lab.AnswerWithin); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
			if got = (s3test.Call{Method: "GET", Path: "/" + bucket}).Do(t, at).Status; got == want {
				return
			}
		}
		t.Fatalf("%d, want %d", got, want)
	}
	for range 3 {
		first, second := waiting(), waiting()
		becomes(503)
		first.Close()
		becomes(200)
		first = waiting()
		becomes(503)
		first.Close()
		second.Close()
		becomes(200)
	}
}
