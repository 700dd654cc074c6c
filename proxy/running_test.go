package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/s3proxy/s3proxy/proxy/sigv4"
)

// awaitRunning waits until one request is being answered, and it is as wanted.
func awaitRunning(t *testing.T, s *httptest.Server, wanted func(Transfer) bool) {
	t.Helper()
	var all []Transfer
	for until := time.Now().Add(10 * time.Second); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		if all = s.Config.Handler.(*Proxy).Running(); len(all) == 1 && wanted(all[0]) {
			return
		}
	}
	t.Fatalf("%+v", all)
}

func TestWhatIsBeingTransferredCanBeSeen(t *testing.T) {
	t.Parallel()
	f := &fakeStore{}
	s := proxyBefore(t, f, "us-east-1")
	const size = 1 << 20
	send := func(method string, body io.Reader, secret string) *http.Response {
		r, err := http.NewRequest(method, s.URL+"/bucket/key", body)
		if err != nil {
			t.Fatal(err)
		}
		if body != nil {
			r.ContentLength = size
		}
		if err := sigv4.NewSigner("us-east-1").Sign(t.Context(), r, aws.Credentials{AccessKeyID: "client", SecretAccessKey: secret}, sigv4.UnsignedPayload, time.Now()); err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			return nil
		}
		return resp
	}
	reader, writer := io.Pipe()
	answered := make(chan *http.Response)
	go func() { answered <- send(http.MethodPut, reader, "secret") }()
	writer.Write(make([]byte, size/2))
	awaitRunning(t, s, func(t Transfer) bool {
		return t.Operation == "PutObject" && t.Bucket == "bucket" && t.Key == "key" && t.Client == "client" && t.ID != "" &&
			t.ToReceive == size && t.Received > size/4 && t.Received <= size/2 && t.Sent == 0 && time.Since(t.Start) < time.Minute
	})
	writer.Write(make([]byte, size/2))
	if resp := <-answered; resp == nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%+v", resp)
	} else {
		resp.Body.Close()
	}
	goOn := make(chan struct{})
	release := sync.OnceFunc(func() { close(goOn) })
	defer release()
	f.mu.Lock()
	f.hook = func(w http.ResponseWriter, r *http.Request) bool { // half of the object now, half later
		if r.Method != http.MethodGet {
			return false
		}
		f.mu.Lock()
		o := f.objects[r.URL.Path]
		f.mu.Unlock()
		for name, values := range o.header {
			w.Header()[name] = values
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(o.body)))
		w.Write(o.body[:len(o.body)/2])
		w.(http.Flusher).Flush()
		<-goOn
		w.Write(o.body[len(o.body)/2:])
		return true
	}
	f.mu.Unlock()
	resp := send(http.MethodGet, nil, "secret")
	awaitRunning(t, s, func(t Transfer) bool {
		return t.Operation == "GetObject" && t.ToSend == size && t.Sent > 0 && t.Sent < size && t.ToReceive == 0
	})
	release()
	if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	resp.Body.Close()

	reader, writer = io.Pipe()
	go func() { answered <- send(http.MethodPut, reader, "wrong") }()
	if resp := <-answered; resp.StatusCode != http.StatusForbidden {
		t.Errorf("%s", resp.Status)
	}
	writer.Close()
	for until := time.Now().Add(10 * time.Second); len(s.Config.Handler.(*Proxy).Running()) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%+v", s.Config.Handler.(*Proxy).Running())
		}
	}
}
