package proxy

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/s3proxy/s3proxy/proxy/cors"
	"github.com/s3proxy/s3proxy/proxy/multipart"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/sigv4"
	"github.com/s3proxy/s3proxy/proxy/state"
)

// Config is all that a Proxy needs; every field without "optional" is required.
type Config struct {
	// Default serves the buckets that Buckets does not name, and the calls that
	// name none.
	Default object.Settings
	// Buckets are those with settings of their own. Optional.
	Buckets map[string]object.Settings
	// State is where the proxy's own objects are. Optional.
	State state.Place
	// Credential gives what is known of a client's access key.
	Credential func(accessKeyID string) (c Credential, ok bool)
	// Region is the only one that clients may sign for. Optional: without it any will do, and what
	// they are told of a bucket is the region of its store.
	Region string
	// V2 says what clients may sign with Signature Version 2. The zero value: nothing.
	V2 sigv4.V2
	// Domains are the names below which a host is a bucket: "bucket.domain". A
	// host that is none of them has the bucket in the path. Optional.
	Domains []string
	// AnonymousToStore sends unsigned requests on unsigned, so that the store
	// judges them; otherwise they are refused.
	AnonymousToStore bool
	// TrustAll takes every request for that of a client who may do everything, and looks at no
	// signature. Credential is not asked then.
	TrustAll bool
	// Refuse gives why a request is refused before anything else of it is looked at, nil for one
	// that is not. Optional.
	Refuse func(*http.Request) error
	// OfConnection gives the access key of the client that the connection of an unsigned request
	// belongs to, by a certificate; "" for none. Optional.
	OfConnection func(*http.Request) (accessKeyID string, err error)
	// Admit lets in one request of a client ("": unsigned), or gives why not: an *s3err.Error that
	// the client is to come back later. done is called when the request was answered. Optional.
	Admit func(accessKeyID string) (done func(), err error)
	// Log gets one line a request; at LevelTrace with all headers but secrets.
	Log *slog.Logger
	// RequestLevel is the level of the lines about requests in which nothing failed that is
	// not the client's doing. The zero value is slog.LevelInfo.
	RequestLevel slog.Level
	// Observe is told of each request when it was answered, on the request's goroutine:
	// it must not block. ctx is the request's. Optional.
	Observe func(ctx context.Context, s Served)
	// ObserveSweep is told of each round of SweepUploads. Optional.
	ObserveSweep func(SweepRound)
}

// LevelTrace is below slog.LevelDebug: the headers of each exchange.
const LevelTrace = slog.LevelDebug - 4

// holdLimit is the largest body that is held whole before it is sent on: its
// checksums are then in the object's metadata, and a bad upload costs the store
// nothing. holdBudget bounds the memory of all held bodies together; without
// room in it a body streams.
const (
	holdLimit  = 1 << 20
	holdBudget = 16 << 20
)

// Proxy is the http.Handler. It is safe for concurrent use and keeps no state
// but caches.
type Proxy struct {
	cfg      Config
	buckets  map[string]*object.Objects
	others   *object.Objects // of the buckets without settings of their own
	log      *slog.Logger
	verifier *sigv4.Verifier
	hold     *semaphore.Weighted
	memory   heldMemory
	ends     *object.Cache
	states   *stateCache
	writable *writable // unsigned writes
	defaults *perBucket[encryption]
	cors     *perBucket[*cors.Configuration]
	running  *running
	uploads  *multipart.Uploads
	// passthroughUploads are those that stores were seen to have.
	passthroughUploads *passthroughUploads

	// What one PUT to the store may have, and the parts of what passes it; how often
	// uploads are swept; how long a document may take. Fields, so that a test need not
	// send 5 GiB or wait for hours.
	largePut, largePart int64

	sweepEvery, sweepGrace, documentTime time.Duration
}

// New makes a Proxy; it contacts nobody.
func New(cfg Config) *Proxy {
	anyone := ""
	if cfg.TrustAll {
		anyone = "anyone"
		cfg.Credential = func(string) (Credential, bool) { return Credential{Manage: true}, true }
	}
	p := &Proxy{
		cfg: cfg, log: cfg.Log,
		buckets: map[string]*object.Objects{},
		verifier: &sigv4.Verifier{Region: cfg.Region, V2: cfg.V2, Anyone: anyone, OfConnection: cfg.OfConnection, HostedBucket: func(host string) string {
			return hostedBucket(host, cfg.Domains)
		}, Secret: func(id string) (string, bool) {
			c, ok := cfg.Credential(id)
			return c.Secret, ok && c.Secret != ""
		}},
		hold:     semaphore.NewWeighted(holdBudget),
		states:   newStateCache(stateCacheEntries),
		writable: newWritable(), defaults: newBucketDefaults(), cors: newCORSCache(), running: newRunning(), passthroughUploads: newPassthroughUploads(),

		largePut: maxPutSize, largePart: largePart,
		sweepEvery: sweepEvery, sweepGrace: multipart.DefaultGrace, documentTime: documentTime,
	}
	p.uploads = multipart.NewUploads(cfg.Log, p.hold)
	p.ends = object.NewCache()
	p.others = object.New(cfg.Default, cfg.State, p.ends)
	for name, b := range cfg.Buckets {
		p.buckets[name] = object.New(b, cfg.State, p.ends)
	}
	return p
}

// of gives the objects of a bucket, with its settings.
func (p *Proxy) of(bucket s3name.Bucket) *object.Objects {
	if o, ok := p.buckets[bucket.String()]; ok {
		return o
	}
	return p.others
}

// ServeHTTP answers one S3 request. A failure after the first byte of an
// answer's body cuts the connection (http.ErrAbortHandler), so that no client
// takes what it has for a whole object.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	id := newRequestID()
	x := &exchange{proxy: p, clientRequest: clientRequest{r: r}, response: response{w: newAnswer(w, id), id: id, overHTTP1: r.ProtoMajor == 1, noted: &noted{}}}
	if r.Body != nil && r.Body != http.NoBody {
		x.r = r.WithContext(r.Context()) // net/http looks at the type of its own request's body
		x.r.Body = countedBody{r.Body, &x.received}
	}
	p.traceRequest(x)
	defer x.w.deadlines.end()
	defer p.running.remove(x)
	x.startDeadline()
	defer func() {
		if x.admitted != nil {
			x.admitted()
		}
	}()
	err := inS3sWords(x.serve())
	cut := false
	if err != nil {
		cut = !x.fail(err)
	}
	x.boundEnd()
	p.report(x, start, err)
	if cut {
		panic(http.ErrAbortHandler)
	}
}

func (x *exchange) serve() error {
	if n := headerBytes(x.r); n > maxHeaderBytes {
		return s3err.RequestHeaderSectionTooLarge.With(s3err.Field{Name: "MaxSizeAllowed", Value: "8192"})
	}
	if err := x.parse(&x.proxy.cfg); err != nil {
		return err
	}
	x.Objects = x.proxy.of(x.bucket)
	if err := x.identify(); err != nil {
		return err
	}
	op, unnamed := nameOperation(x.r.Method, x.scope(), x.query, x.r.Header)
	if unnamed == nil {
		x.op = op
		if x.auth.Streaming() && !op.chunked {
			return sigv4.ErrPayloadUse
		}
		if op.signedInBody {
			return op.handle(x)
		}
	}
	if source := x.r.Header.Get("X-Amz-Copy-Source"); source != "" && x.r.Method != http.MethodPut && x.r.Method != http.MethodOptions {
		return errCopySource.Argument("x-amz-copy-source", source)
	}
	// Who may not use the bucket is not told what is wrong with the request.
	if denied := x.authorize(); denied != nil {
		return denied
	}
	if unnamed != nil {
		return unnamed
	}
	if op.preflights {
		return op.handle(x)
	}
	if err := x.check(); err != nil {
		return err
	}
	handle := x.handler()
	if handle == nil {
		if x.unsigned() { // S3 says that first
			return s3err.AccessDenied.WithMessage("Anonymous users cannot invoke this API. Please authenticate.")
		}
		return s3err.NotImplemented
	}
	if err := x.knownUpload(x.r.Context()); err != nil {
		return err
	}
	if err := x.adoptEncryption(); err != nil {
		return err
	}
	x.continueEmpty()
	return handle(x)
}

// identify finds out who asks.
func (x *exchange) identify() error {
	if refuse := x.proxy.cfg.Refuse; refuse != nil {
		if err := refuse(x.r); err != nil {
			return err
		}
	}
	x.beginCORS()
	if x.r.Method == http.MethodOptions { // browsers ask with the URL of a signed request, but cannot sign
		x.auth = &sigv4.Auth{}
		return nil
	}
	auth, err := x.proxy.verifier.Verify(x.r)
	if err != nil {
		x.refused = true
		return err
	}
	x.auth = auth
	if auth.AccessKeyID != "" && !auth.Signed() {
		// A page that one client stores must not act as another, whose browser opens it.
		x.w.Header().Set("Content-Security-Policy", "sandbox")
		x.w.Header().Set("X-Content-Type-Options", "nosniff")
	}
	return x.adoptPresigned()
}

// check refuses what no operation takes.
func (x *exchange) check() error {
	if err := x.checkNames(); err != nil {
		return err
	}
	if err := x.readPart(); err != nil {
		return err
	}
	if err := x.refusedHeader(); err != nil {
		return err
	}
	if err := x.refusedOldHeader(); err != nil {
		return err
	}
	return x.refusedLock()
}

// handler does what the operation's row says, or sends the request on; nil for what is
// not implemented.
func (x *exchange) handler() func(*exchange) error {
	if x.op.handle != nil && x.forwardsPassthrough() {
		return forwardPassthrough
	}
	return x.op.handle
}

// continueEmpty says 100 to a request that expects it before a body of no
// bytes, as S3 does; net/http says it only when a body is read. botocore takes a
// final answer in its place for that of the next request on the connection.
func (x *exchange) continueEmpty() {
	if x.r.ContentLength == 0 && strings.EqualFold(x.r.Header.Get("Expect"), "100-continue") {
		x.w.WriteHeader(http.StatusContinue)
	}
}

// fail answers with an error. It is false when the answer had begun: the
// connection must be cut then.
func (x *exchange) fail(err error) bool {
	if x.begun() {
		return false
	}
	x.answerError(asS3Error(err))
	return true
}

func newRequestID() string {
	var b [8]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
