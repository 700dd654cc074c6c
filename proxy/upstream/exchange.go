package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// Exchange is one request to the store and what came of it.
type Exchange struct {
	Method string
	Status int           // 0: no answer
	Took   time.Duration // until the answer's headers had come, with the sending of the body
	// GivenUp says of an exchange without an answer that the store need not be the cause:
	// nobody waited for it any longer, or the client's body ended too early.
	GivenUp bool
}

func exchange(ctx context.Context, in *Request, resp *http.Response, took time.Duration) Exchange {
	e := Exchange{Method: in.Method, Took: took}
	if resp != nil {
		e.Status = resp.StatusCode
		return e
	}
	body, _ := in.Body.(*watchedBody)
	// A deadline is the proxy's own, on a store that takes too long.
	e.GivenUp = errors.Is(ctx.Err(), context.Canceled) || body != nil && body.failed.Load()
	return e
}

// watched is a request whose body tells whether it could be read. Bodies in memory always can,
// and net/http knows how to send them again.
func (in *Request) watched() *Request {
	switch in.Body.(type) {
	case nil, *bytes.Reader, *bytes.Buffer, *strings.Reader:
		return in
	}
	out := *in
	out.Body = &watchedBody{Reader: in.Body}
	return &out
}

type watchedBody struct {
	io.Reader
	failed atomic.Bool
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil && err != io.EOF {
		b.failed.Store(true)
	}
	return n, err
}

// Close closes the body, where it can be closed.
func (b *watchedBody) Close() error {
	if c, ok := b.Reader.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
