package main

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/s3proxy/s3proxy/proxy"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// inProcess runs the proxy within this process and gives a client of it, so that a command
// writes objects with the same code as serve. Nobody else can reach it: its connections are
// pipes, and its key is new.
func inProcess(c proxy.Config) (client *upstream.Client, stop func(), err error) {
	const id, region = "inside", "us-east-1"
	secret := rand.Text()
	c.Region = region
	c.RequestLevel = slog.LevelDebug // who runs a command sees its outcome
	c.Credential = func(asked string) (proxy.Credential, bool) {
		return proxy.Credential{Secret: secret, Manage: true}, asked == id
	}
	listener := &pipes{dialled: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: proxy.New(c), ErrorLog: slog.NewLogLogger(c.Log.Handler(), slog.LevelError)}
	go server.Serve(listener)
	client, err = upstream.New(upstream.Config{
		Endpoint: &url.URL{Scheme: "http", Host: "inside"}, Region: region, Payload: upstream.PayloadChecked,
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""), Dial: listener.dial,
	})
	return client, func() { server.Close() }, err
}

// pipes is a net.Listener within the process.
type pipes struct {
	dialled chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.dialled <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.dialled:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "inside", Net: "pipe"} }
