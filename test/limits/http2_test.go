package limits

import (
	"bytes"
	"crypto/tls"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/s3proxy/s3proxy/test/lab"
)

// closedWindow opens an HTTP/2 connection whose client accepts no byte of any answer, and requests
// one on each of its streams.
func closedWindow(t *testing.T, address string, streams int) {
	t.Helper()
	c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := c.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	f := http2.NewFramer(c, c)
	if err := f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			if _, err := f.ReadFrame(); err != nil {
				return
			}
		}
	}()
	for i := range streams {
		var b bytes.Buffer
		e := hpack.NewEncoder(&b)
		for _, h := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", address}, {":path", "/bucket/key"}} {
			if err := e.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: b.Bytes(), EndStream: true, EndHeaders: true}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAClientOfHTTP2ThatTakesNoAnswerHoldsNothing(t *testing.T) {
	lab.TakesLong(t)
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "c"), filepath.Join(dir, "k")
	lab.NewAuthority(t).Issue(t, "proxy.test", cert, key)
	p, goroutines := watched(t, "--tls-cert", cert, "--tls-key", key)
	before := goroutines()
	const connections, streams = 20, 50
	for range connections {
		closedWindow(t, p.Address, streams)
	}
	if now := goroutines(); now < before+connections*streams/2 {
		t.Errorf("%d goroutines: too few wait to prove anything", now)
	}
	// The goroutines of the connections themselves stay.
	for deadline := time.Now().Add(40 * time.Second); goroutines() > before+10*connections; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines before, %d after 40 seconds", before, goroutines())
		}
	}
}
