package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/iotest"
	"time"
)

func TestAnExchangeTellsWhetherTheStoreIsTheCauseOfNoAnswer(t *testing.T) {
	t.Parallel()
	hung := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		switch r.URL.Query().Get("do") {
		case "cut":
			panic(http.ErrAbortHandler)
		case "hang":
			<-hung
		case "refuse":
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(hung) })
	canceled := func() (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		return ctx, cancel
	}
	late := func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(t.Context(), 100*time.Millisecond)
	}
	streamed := func(body string, end error) func() io.Reader {
		return func() io.Reader { return io.MultiReader(bytes.NewReader([]byte(body)), iotest.ErrReader(end)) }
	}
	for name, c := range map[string]struct {
		do     string
		body   func() io.Reader
		within func() (context.Context, context.CancelFunc)
		want   Exchange
	}{
		"a success":                    {"", streamed("body", io.EOF), nil, Exchange{Status: 200}},
		"a refusal":                    {"refuse", func() io.Reader { return bytes.NewReader([]byte("body")) }, nil, Exchange{Status: 403}},
		"a store that cuts":            {"cut", streamed("body", io.EOF), nil, Exchange{}},
		"a store that hangs":           {"hang", nil, late, Exchange{}},
		"a client that goes":           {"hang", nil, canceled, Exchange{GivenUp: true}},
		"a client's body that is cut":  {"", streamed("bod", errors.New("cut")), nil, Exchange{GivenUp: true}},
		"a client's body that is less": {"", streamed("bod", io.ErrUnexpectedEOF), nil, Exchange{GivenUp: true}},
	} {
		for _, payload := range []Payload{PayloadChecked, PayloadSigned, PayloadUnsigned} {
			t.Run(name+" "+string(payload), func(t *testing.T) {
				t.Parallel()
				var got []Exchange
				client := newClient(t, server.URL)
				client.cfg.Payload = payload
				client.cfg.Observe = func(_ context.Context, e Exchange) { got = append(got, e) }
				ctx := t.Context()
				if c.within != nil {
					in, cancel := c.within()
					defer cancel()
					ctx = in
				}
				in := &Request{Method: http.MethodPut, Bucket: someBucket, Key: someKey, Query: map[string][]string{"do": {c.do}}}
				if c.body != nil {
					in.Body, in.Length = c.body(), 4
				}
				if resp, err := client.Do(ctx, in); err == nil {
					resp.Body.Close()
				}
				if len(got) != 1 || got[0].Took <= 0 {
					t.Fatalf("told of %+v", got)
				}
				got[0].Method, got[0].Took = "", 0
				if got[0] != c.want {
					t.Errorf("%+v, want %+v", got[0], c.want)
				}
			})
		}
	}
}
