package proxy

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

// heldEnds is a fake store that answers for ends only when it is let to. Ends and ranges that it was
// asked for are told.
type heldEnds struct {
	fakeStore
	ends, ranges chan *http.Request
	letEnds      chan int // the status; 0: what there is
}

func newHeldEnds() *heldEnds {
	h := &heldEnds{ends: make(chan *http.Request, 20), ranges: make(chan *http.Request, 20), letEnds: make(chan int, 20)}
	h.hook = func(w http.ResponseWriter, r *http.Request) bool {
		rng := r.Header.Get("Range")
		switch {
		case r.URL.Path != "/bucket/k" || rng == "":
			return false
		case !strings.HasPrefix(rng, "bytes=-"):
			h.ranges <- r
			if strings.HasPrefix(rng, "bytes=131128-") {
				w.WriteHeader(http.StatusForbidden)
				return true
			}
			return false
		}
		h.ends <- r
		select {
		case status := <-h.letEnds:
			if status != 0 {
				w.WriteHeader(status)
			}
			return status != 0
		case <-r.Context().Done(): // nobody waits for it any more
			return true
		}
	}
	return h
}

func await[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(30 * time.Second):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}

// TestAReadOfTheEndServesAllButEachIsJudgedForItself: of readers who come together, the first goes
// away, the store refuses another his range, and asks a third to pay.
func TestAReadOfTheEndServesAllButEachIsJudgedForItself(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		let     []int // what the requests for the end are answered
		headers []string
		leaves  bool
		want    int // of the reader who came second
		ends    int // 0: any number
	}{
		{name: "all stay", let: []int{0}, want: 206, ends: 1},
		{name: "the first goes away", let: []int{0, 0}, leaves: true, want: 206},
		{name: "the shared read fails", let: []int{403, 0, 0}, want: 206}, // whoever comes after another need not read at all
		{name: "the second is refused his range", let: []int{0}, headers: []string{"Range", "bytes=131072-131080"}, want: 403, ends: 1},
		{name: "the second pays for himself", let: []int{0, 0}, headers: []string{"X-Amz-Request-Payer", "requester"}, want: 206, ends: 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newHeldEnds()
			f.objects = map[string]fakeObject{}
			store := httptest.NewServer(f)
			defer store.Close()
			ended := make(chan Served, 20)
			s := proxyAt(t, store.URL, "us-east-1", func(c *Config) { c.Observe = func(_ context.Context, s Served) { ended <- s } })
			f.put(t, s, "/bucket/k", bytes.Repeat([]byte("together"), 50_000))
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			first, second := make(chan string, 1), make(chan string, 1)
			send := func(ctx context.Context, to chan<- string, headers ...string) {
				resp, err := http.DefaultClient.Do(signed(t, s, "GET", "/bucket/k", nil, headers...).WithContext(ctx))
				if err != nil {
					to <- err.Error()
					return
				}
				resp.Body.Close()
				to <- resp.Status
			}
			go send(ctx, first, "Range", "bytes=0-9")
			await(t, "the first range", f.ranges)
			await(t, "the end", f.ends)
			go send(t.Context(), second, append([]string{"Range", "bytes=70000-70009"}, c.headers...)...)
			await(t, "the second range", f.ranges)
			asked := 1
			if c.ends > 1 { // before anybody has an answer
				await(t, "the second's own request for the end", f.ends)
				asked++
			}
			if c.leaves {
				leave()
				if got := await(t, "the first answer", first); !strings.Contains(got, "canceled") {
					t.Errorf("the first reader got %s", got)
				}
				for await(t, "the end of the first request", ended).Operation != "GetObject" {
				}
			}
			for _, status := range c.let {
				f.letEnds <- status
			}
			if got := await(t, "the second answer", second); !strings.HasPrefix(got, strconv.Itoa(c.want)) {
				t.Errorf("the second reader got %s, want %d", got, c.want)
			}
			if !c.leaves {
				if got := await(t, "the first answer", first); got != "206 Partial Content" {
					t.Errorf("the first reader got %s", got)
				}
			}
			if n := len(f.ends) + asked; c.ends != 0 && n != c.ends {
				t.Errorf("the store was asked for the end %d times, want %d", n, c.ends)
			}
		})
	}
}
