package limits

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// watched starts a proxy whose memory and goroutines a test watches.
func watched(t *testing.T, args ...string) (p *lab.ProxyProcess, goroutines func() int) {
	t.Helper()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	admin := lab.FreeAddress(t)
	p = lab.Proxy(t, lab.ProxyOptions{Args: append([]string{"--admin-listen", admin}, args...)})
	total := regexp.MustCompile(`goroutine profile: total (\d+)`)
	return p, func() int {
		t.Helper()
		resp, err := http.Get("http://" + admin + "/debug/pprof/goroutine?debug=1")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		found := total.FindSubmatch(text)
		if err != nil || found == nil {
			t.Fatalf("%v: %s", err, text)
		}
		n, _ := strconv.Atoi(string(found[1]))
		return n
	}
}

// crowd opens n connections at once and runs work on each of them.
func crowd(t *testing.T, p *lab.ProxyProcess, n int, work func(i int, c net.Conn)) {
	t.Helper()
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			c, err := net.Dial("tcp", p.Address)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
			work(i, c)
		})
	}
	group.Wait()
}

// littleMemory is what a proxy without bodies to serve may need, in bytes.
const littleMemory = 150 << 20

// flat checks the memory that the proxy needed, and that the proxy has come to rest.
func flat(t *testing.T, p *lab.ProxyProcess, limit int64, before int, goroutines func() int) {
	t.Helper()
	peak, err := p.PeakMemory()
	if err != nil {
		lab.Skip(t, "there is no /proc")
	}
	t.Logf("peak memory: %d MiB", peak>>20)
	if peak > limit {
		t.Errorf("peak memory is %d MiB, want at most %d", peak>>20, limit>>20)
	}
	now := 0
	for deadline := time.Now().Add(lab.AnswerWithin); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if now = goroutines(); now <= before+20 {
			return
		}
	}
	t.Errorf("%d goroutines before, %d after", before, now)
}

func TestAThousandConnectionsWithHugeHeadersNeedLittleMemory(t *testing.T) {
	p, goroutines := watched(t)
	before := goroutines()
	piece := "X-Filler: " + strings.Repeat("a", 9<<10) + "\r\n"
	crowd(t, p, 1000, func(_ int, c net.Conn) {
		fmt.Fprintf(c, "GET /bucket/key HTTP/1.1\r\nHost: %s\r\n", p.Address)
		for range 100 { // 900 KB
			if _, err := io.WriteString(c, piece); err != nil {
				return // cut
			}
		}
		answer, err := io.ReadAll(c)
		if text := string(answer); err == nil && len(text) > 0 && !strings.HasPrefix(text, "HTTP/1.1 431 ") && !strings.HasPrefix(text, "HTTP/1.1 400 ") {
			t.Errorf("got %.100q", text)
		}
	})
	flat(t, p, littleMemory, before, goroutines)
	s3test.MustPut(t, p.S3(), "/"+s3test.NewBucket(t, p.S3())+"/k", []byte("text"))
}

func TestAThousandSlowFormsAreCut(t *testing.T) {
	lab.TakesLong(t)
	t.Parallel()
	p, goroutines := watched(t)
	before := goroutines()
	began := time.Now()
	crowd(t, p, 1000, func(_ int, c net.Conn) {
		fmt.Fprintf(c, "POST /bucket HTTP/1.1\r\nHost: %s\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 19000\r\n\r\n"+
			"--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n", p.Address)
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			_, _ = io.Copy(io.Discard, c)
		}()
		for {
			select {
			case <-closed:
				return
			case <-time.After(2 * time.Second):
				_, _ = io.WriteString(c, "x")
			}
			if time.Since(began) > time.Minute {
				t.Error("a form is still read after a minute")
				return
			}
		}
	})
	flat(t, p, littleMemory, before, goroutines)
}

func TestConnectionsOverTheLimitWaitAndTheOthersGoOn(t *testing.T) {
	const limit = 3
	p, _ := watched(t, "--max-connections", strconv.Itoa(limit))
	client := func() *http.Client { return &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}} }
	request := func(c *http.Client) error {
		resp, err := c.Get(p.URL + "/")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	var clients []*http.Client
	for range limit {
		c := client()
		clients = append(clients, c)
		if err := request(c); err != nil {
			t.Fatal(err)
		}
	}
	var answered atomic.Bool
	late := make(chan error, 1)
	go func() {
		err := request(client())
		answered.Store(true)
		late <- err
	}()
	time.Sleep(300 * time.Millisecond)
	if answered.Load() {
		t.Error("one connection more than the limit was served")
	}
	for _, c := range clients {
		if err := request(c); err != nil {
			t.Error("a connection from before:", err)
		}
	}
	clients[0].CloseIdleConnections()
	select {
	case err := <-late:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(lab.AnswerWithin):
		t.Error("no connection was served after another had ended")
	}
}
