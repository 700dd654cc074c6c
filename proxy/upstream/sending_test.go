package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// watchedConn counts writes, and those from a body's own memory.
type watchedConn struct {
	net.Conn
	body        []byte
	writes, own int
}

func (c *watchedConn) Write(p []byte) (int, error) {
	c.writes++
	for at := 0; at < len(c.body); at += pieceSize {
		if len(p) > 0 && &p[0] == &c.body[at] {
			c.own++
		}
	}
	return c.Conn.Write(p)
}

// selfWriting is a body in memory that net/http does not know to be one.
type selfWriting struct{ *bytes.Reader }

func (selfWriting) Close() error { return nil }

func TestABodyThatWritesItselfIsSentFromWhereItIsInFewPieces(t *testing.T) {
	var got []byte
	store := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got, _ = io.ReadAll(r.Body)
	}))
	defer store.Close()
	const n = 16
	body := bytes.Repeat([]byte("segment "), n*pieceSize/8)
	for _, direct := range []bool{true, false} {
		t.Run(fmt.Sprint("writes itself: ", direct), func(t *testing.T) {
			conn := &watchedConn{body: body}
			way := &http.Transport{DialContext: func(ctx context.Context, network, address string) (_ net.Conn, err error) {
				conn.Conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
				return &takingConn{Conn: conn, stall: time.Minute}, err
			}, WriteBufferSize: bufferSize}
			defer way.CloseIdleConnections()
			var from io.Reader = selfWriting{bytes.NewReader(body)}
			if !direct {
				from = struct{ io.Reader }{from}
			}
			req, err := http.NewRequest(http.MethodPut, store.URL, from)
			if err != nil {
				t.Fatal(err)
			}
			req.ContentLength = int64(len(body))
			resp, err := way.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if !bytes.Equal(got, body) {
				t.Errorf("the store has %d other bytes", len(got))
			}
			if wrote := conn.writes == n+1 && conn.own == n; wrote != direct { // and the headers
				t.Errorf("%d writes, %d of the body's own memory", conn.writes, conn.own)
			}
		})
	}
}

func TestABodyThatWritesMoreThanItsLengthIsRefused(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	go func() { _, _ = io.Copy(io.Discard, far) }()
	c := &takingConn{Conn: near, stall: time.Minute}
	if n, err := c.ReadFrom(io.LimitReader(bytes.NewReader([]byte("longer")), 3)); n != 0 || !errors.Is(err, errTooLong) {
		t.Error(n, err)
	}
}

// deadlines counts how often the time of a write began.
type deadlines struct {
	net.Conn
	set int
}

func (c *deadlines) SetWriteDeadline(time.Time) error { c.set++; return nil }

func (c *deadlines) Write(p []byte) (int, error) { return len(p), nil }

func TestEachPieceOfABodyHasItsOwnTime(t *testing.T) {
	counter, body := &deadlines{}, make([]byte, 20*pieceSize+1)
	c := &takingConn{Conn: counter, stall: time.Minute}
	if n, err := c.ReadFrom(io.LimitReader(bytes.NewReader(body), int64(len(body)))); n != int64(len(body)) || err != nil || counter.set != 21 {
		t.Error(n, counter.set, err)
	}
}
