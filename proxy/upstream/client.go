package upstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/sigv4"
)

// bufferSize is the transport's read and write buffer of a connection, in bytes. A small object
// and its headers pass through it at once. Larger reads and writes bypass it, so more would only
// take memory: each open connection keeps both buffers, idle ones too.
const bufferSize = 16 << 10

// expectContinueFrom is the body size from which the store is asked before the
// body is sent, so that a refusal (no such bucket, a failed condition) costs
// neither side the transfer. aws-sdk-go-v2 draws the line at 2 MiB.
const expectContinueFrom = 2 << 20

// signedHeaders is about how many headers are added to a request.
const signedHeaders = 6

// Config says where the store is and who the proxy is there.
type Config struct {
	// Endpoint is the store's URL: scheme and host, and a path only where the
	// store lives below one.
	Endpoint *url.URL
	// Region is the region of the signature's scope.
	Region string
	// Addressing says where requests name their bucket.
	Addressing Addressing
	// Credentials are asked for each request; they cache by themselves.
	Credentials aws.CredentialsProvider
	// Payload says how streamed bodies are sent.
	Payload Payload
	// Signature is the version of the signatures. The empty value means SignatureV4.
	Signature Signature
	// Attempts is how often a GET or HEAD is sent at most, while the store does not
	// answer or says that it cannot now (5xx but 501, 429), with growing pauses between.
	// 0 is 1.
	Attempts int
	// RetryBudget is how many of these repetitions may run ahead: each takes one, and five
	// successes give one back, so that a store in trouble is not sent a multiple of all
	// requests. 0: as many as Attempts allows.
	RetryBudget int
	// Timeouts of a store that is silent; a zero is the default.
	Timeouts Timeouts
	// Trace, if not nil, sees each exchange: the request as it was sent and the
	// answer's headers (nil without an answer). It must not read bodies.
	Trace func(req *http.Request, resp *http.Response)
	// Observe, if not nil, is told of each exchange. It must not block. ctx is that of Do.
	Observe func(ctx context.Context, e Exchange)
	// Wrap, if not nil, gives what requests go through, around the client's own transport.
	// It sees them signed: headers that it adds are not part of the signature.
	Wrap func(http.RoundTripper) http.RoundTripper
	// TLS secures connections to an https endpoint; nil: with the system's certificates.
	TLS *tls.Config
	// Dial replaces TCP, for a store on a Unix socket. nil: TCP, through the
	// proxy that HTTP_PROXY and its friends name.
	Dial func(ctx context.Context) (net.Conn, error)
}

// Client sends requests to one store. It is safe for concurrent use.
type Client struct {
	cfg        Config
	signer     *sigv4.Signer
	way        http.RoundTripper // follows no redirect: that would send a signed request to another host
	retentions *retentions
	budget     *retryBudget
	// Learned is kept by the code that finds out what the store does.
	Learned Learned
}

// Learned is what answers have shown of a store, for as long as the process runs.
type Learned struct {
	// HonoursIfMatch: a write whose If-Match does not hold is refused.
	HonoursIfMatch atomic.Bool
	// LocksReads: nobody can read an object while a conditional PUT to it is on its way.
	// MinIO locks it from the condition to the body's end, and for as long as a body is read.
	LocksReads atomic.Bool
	// SignsLikeMinIO: what it looks for in signatures of version 2.
	SignsLikeMinIO atomic.Bool
	// RefusesFalseCompletes: the store does not answer 200 to a Complete of an upload that it
	// does not have; nil if nobody has looked.
	RefusesFalseCompletes atomic.Pointer[bool]
}

// New makes a client; it does not contact the store.
func New(cfg Config) (*Client, error) {
	if cfg.Endpoint == nil || cfg.Endpoint.Host == "" || (cfg.Endpoint.Scheme != "http" && cfg.Endpoint.Scheme != "https") {
		return nil, errors.New("the upstream must be a URL such as https://s3.example.com")
	}
	if err := cfg.Addressing.check(cfg.Endpoint); err != nil {
		return nil, err
	}
	if cfg.Signature == SignatureV2 && cfg.Payload != PayloadUnsigned {
		return nil, errors.New("a store that wants signatures of version 2 knows no chunks: bodies are sent unsigned")
	}
	cfg.Timeouts = cfg.Timeouts.orDefaults()
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer(cfg.Timeouts),
		TLSClientConfig:       cfg.TLS,
		TLSHandshakeTimeout:   cfg.Timeouts.Connect,
		MaxIdleConns:          512,
		MaxIdleConnsPerHost:   512,
		IdleConnTimeout:       90 * time.Second,
		ExpectContinueTimeout: time.Second,
		ResponseHeaderTimeout: cfg.Timeouts.Answer,
		ReadBufferSize:        bufferSize,
		WriteBufferSize:       bufferSize,
		// The store's bytes are ciphertext: net/http must not gunzip them by itself.
		DisableCompression: true,
		ForceAttemptHTTP2:  false,
	}
	if cfg.Dial != nil {
		transport.Proxy = nil
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return cfg.Dial(ctx) }
	}
	var way http.RoundTripper = transport
	if cfg.Wrap != nil {
		way = cfg.Wrap(transport)
	}
	return &Client{
		cfg:        cfg,
		signer:     sigv4.NewSigner(cfg.Region),
		retentions: newRetentions(),
		budget:     newRetryBudget(cfg.RetryBudget),
		way:        way,
	}, nil
}

// Region is the store's region, as configured.
func (c *Client) Region() string { return c.cfg.Region }

// ChecksBodies tells whether the store can see that a streamed body lacks its end.
func (c *Client) ChecksBodies() bool { return c.cfg.Payload != PayloadUnsigned }

// Do sends a request and gives the store's answer when it is a success (2xx).
// The caller closes its body. Any other answer is an *s3err.Error with the
// store's own code, status and message, and its headers. No answer at all is
// s3err.ServiceUnavailable with ErrNoAnswer or another cause inside, or the context's error.
func (c *Client) Do(ctx context.Context, in *Request) (*http.Response, error) {
	for attempt := 1; ; attempt++ {
		resp, err := c.inSomeDialect(again(ctx, attempt-1), in)
		var refused *s3err.Error
		if err == nil || errors.As(err, &refused) && refused.Status < 500 {
			c.budget.succeeded() // the store works, whatever it says
		}
		if err == nil || attempt >= c.cfg.Attempts || !passes(in, err) || !c.budget.take() {
			return resp, err
		}
		wait, _ := pauses.BackoffDelay(attempt-1, err) // fails for a negative attempt only
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait):
		}
	}
}

type resends struct{}

// again gives the context of a request that was sent n times before.
func again(ctx context.Context, n int) context.Context {
	if n == 0 {
		return ctx
	}
	return context.WithValue(ctx, resends{}, n)
}

// Resends tells how often the request of a context was sent before.
func Resends(ctx context.Context) int {
	n, _ := ctx.Value(resends{}).(int)
	return n
}

// ErrNoAnswer says that the store did not answer: it is not there, or closed the connection.
var ErrNoAnswer = errors.New("no answer")

// pauses are random, of at most 1 s before the second attempt, then 2, then 4 s.
var pauses = retry.NewExponentialJitterBackoff(4 * time.Second)

// passes tells whether the same request, which has no effect, may succeed a moment later.
func passes(in *Request, err error) bool {
	var refused *s3err.Error
	if in.Method != http.MethodGet && in.Method != http.MethodHead || !errors.As(err, &refused) {
		return false
	}
	return refused.Status >= 500 && refused.Status != http.StatusNotImplemented || refused.Status == http.StatusTooManyRequests
}

func (c *Client) once(ctx context.Context, in *Request) (*http.Response, error) {
	in = in.watched()
	sending, end := context.WithCancelCause(ctx)
	req, err := c.signed(sending, in)
	if err != nil {
		end(nil)
		return nil, err
	}
	start := time.Now()
	resp, err := c.way.RoundTrip(req)
	if c.cfg.Observe != nil {
		c.cfg.Observe(ctx, exchange(ctx, in, resp, time.Since(start)))
	}
	if c.cfg.Trace != nil {
		c.cfg.Trace(req, resp)
	}
	if err != nil {
		end(nil)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, s3err.ServiceUnavailable.Because(fmt.Errorf("%s at the store: %w: %w", in.Method, ErrNoAnswer, explained(err)))
	}
	c.cfg.Timeouts.steady(sending, resp, end)
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, refusal(resp, !in.Unsigned)
}

// signed is the request as it is sent, which ends with ctx.
func (c *Client) signed(ctx context.Context, in *Request) (*http.Request, error) {
	req, err := c.build(ctx, in)
	if err != nil {
		return nil, err
	}
	var creds *aws.Credentials
	if !in.Unsigned {
		found, err := c.cfg.Credentials.Retrieve(ctx)
		if err != nil {
			return nil, s3err.ServiceUnavailable.Because(fmt.Errorf("no upstream credentials: %w", err))
		}
		creds = &found
	}
	sign := c.sign
	if c.cfg.Signature == SignatureV2 {
		sign = c.signV2
	}
	if err := sign(ctx, req, in, creds); err != nil {
		return nil, fmt.Errorf("sign the upstream request: %w", err)
	}
	return req, nil
}

func (c *Client) build(ctx context.Context, in *Request) (*http.Request, error) {
	if err := in.checkNames(); err != nil {
		return nil, fmt.Errorf("build the upstream request: %w", err)
	}
	u := *c.cfg.Endpoint
	path := strings.TrimSuffix(u.Path, "/") + "/"
	bucket, key := in.Bucket.String(), in.Key.String()
	switch {
	case bucket == "":
	case c.cfg.Addressing.hosted(&u, bucket):
		u.Host = bucket + "." + u.Host
		path += key
	case key == "":
		path += bucket
	default:
		path += bucket + "/" + key
	}
	// RawPath keeps `//`, `.`, `..` and the encoding that the signature is made of.
	u.Path, u.RawPath = path, sigv4.EncodePath(path)
	u.RawQuery = strings.ReplaceAll(in.query().Encode(), "+", "%20")

	body := in.Body
	switch {
	case len(in.Bytes) > 0 && in.Readers != nil:
		body = in.Readers()
	case len(in.Bytes) > 0:
		body = bytes.NewReader(in.Bytes)
	}
	req, err := http.NewRequestWithContext(ctx, in.Method, "/", body) // nothing of u has to be parsed again
	if err != nil {
		return nil, fmt.Errorf("build the upstream request: %w", err)
	}
	if len(in.Bytes) > 0 && in.Readers != nil {
		req.ContentLength = int64(len(in.Bytes))
		req.GetBody = func() (io.ReadCloser, error) { return in.Readers(), nil }
	}
	req.URL, req.Host = &u, strings.TrimSuffix(u.Host, ":")
	req.Header = make(http.Header, len(in.Header)+signedHeaders)
	maps.Copy(req.Header, in.Header)
	if in.Source != nil {
		req.Header.Set(copySourceHeader, sourceValue(in.Source))
	}
	// net/http would name itself; a store's log shows the proxy.
	req.Header.Set("User-Agent", "s3proxy")
	if in.Body != nil {
		req.ContentLength = in.Length
	}
	if in.Length >= expectContinueFrom {
		req.Header.Set("Expect", "100-continue")
	}
	return req, nil
}

// explained has net/http's words for a store that does not speak TLS.
func explained(err error) error {
	var record tls.RecordHeaderError
	if errors.As(err, &record) && string(record.RecordHeader[:]) == "HTTP/" {
		return http.ErrSchemeMismatch
	}
	return err
}
