package forward

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// Config says for whom a Proxy is one, and how far.
type Config struct {
	Hosts *Hosts
	// Next handles S3 requests. It asks Refusal of each request's context first.
	Next http.Handler
	// Client gives the access key of whoever asks for a tunnel, or an error that says what is
	// missing.
	Client func(*http.Request) (accessKeyID string, err error)
	// MaxTunnels bounds the tunnels at once.
	MaxTunnels int
	// Idle is how long a tunnel may be silent; Connect how long a connection may take to come about.
	Idle, Connect time.Duration
	// Listens are the addresses of this process, where no tunnel may lead.
	Listens []string
	// Observe is told of each CONNECT when it has ended.
	Observe func(Connection)
	Log     *slog.Logger
}

// Proxy is the http.Handler. It is safe for concurrent use.
type Proxy struct {
	cfg     Config
	dialer  *dialer
	tunnels *tunnels
	inside  *inside // nil: TLS to stores is not ended here
}

// New makes a Proxy without interception.
func New(cfg Config) *Proxy {
	return &Proxy{cfg: cfg, dialer: newDialer(cfg.Connect, cfg.Listens), tunnels: newTunnels(cfg.MaxTunnels, cfg.Idle)}
}

// The refusals of requests, in S3's words.
var (
	errURI       = s3err.InvalidURI.WithMessage("A request to a proxy names the URL of a store, http://HOST/..., without a user.")
	errScheme    = s3err.InvalidRequest.WithMessage("An https URL is not taken in the clear: have the client use CONNECT (HTTPS_PROXY), or name the endpoint with http.")
	errHost      = s3err.AccessDenied.WithMessage("This proxy does not serve this host: it is not one of its stores (--forward-host), nor reached by plain HTTP otherwise. Leave the host out by NO_PROXY.")
	errNested    = s3err.MethodNotAllowed.WithMessage("There is no tunnel inside of a tunnel.")
	errMisplaced = &s3err.Error{Code: "MisdirectedRequest", Status: http.StatusMisdirectedRequest, Message: "This connection is for another host."}
)

type (
	refusalKey struct{}
	namedKey   struct{}
)

// Refusal gives why a request may not be handled; nil if it may.
func Refusal(ctx context.Context) error {
	err, _ := ctx.Value(refusalKey{}).(error)
	return err
}

// NamesStore tells whether a request came by way of a proxy, for a host that was found to be a store's.
func NamesStore(ctx context.Context) bool { return ctx.Value(namedKey{}) != nil }

// ServeHTTP answers a request. One in origin form is none for a proxy.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// They are between client and proxy, and no business of anybody else.
	authorization := r.Header.Values("Proxy-Authorization")
	r.Header.Del("Proxy-Authorization")
	r.Header.Del("Proxy-Connection")
	switch {
	case r.Method == http.MethodConnect:
		if len(authorization) > 0 {
			r.Header["Proxy-Authorization"] = authorization
		}
		p.connect(w, r)
	case isOriginForm(r):
		p.cfg.Next.ServeHTTP(w, r)
	default:
		p.cfg.Next.ServeHTTP(w, p.handled(r))
	}
}

func isOriginForm(r *http.Request) bool {
	return strings.HasPrefix(r.RequestURI, "/") || r.RequestURI == "*"
}

// handled is a request in absolute form as if it had been sent to us. The host is that of its
// target; net/http has dropped the header Host, as RFC 9112 (3.2.2) wants it: a signature for
// another host does not fit.
func (p *Proxy) handled(r *http.Request) *http.Request {
	u := r.URL
	switch {
	case u.Host == "" || u.Opaque != "" || u.User != nil:
		return refused(r, errURI)
	case u.Scheme == "https":
		return refused(r, errScheme)
	case u.Scheme != "http":
		return refused(r, errURI)
	}
	at, err := parse(u.Host, "80")
	switch {
	case err != nil:
		return refused(r, errURI)
	case !p.cfg.Hosts.IsStore(at):
		return refused(r, errHost)
	}
	out := r.WithContext(context.WithValue(r.Context(), namedKey{}, true))
	out.Host = signedHost(u.Host)
	out.URL = &url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery, ForceQuery: u.ForceQuery}
	if out.URL.Path == "" {
		out.URL.Path = "/"
	}
	out.RequestURI = originForm(r.RequestURI)
	return out
}

// signedHost is what clients sign for a host: without the port that http has by itself.
func signedHost(host string) string {
	if name, port, err := net.SplitHostPort(host); err == nil && port == "80" {
		if strings.Contains(name, ":") {
			return "[" + name + "]"
		}
		return name
	}
	return host
}

// originForm is the path and query of a target in absolute form, as they came.
func originForm(target string) string {
	_, rest, _ := strings.Cut(target, "://")
	begin := strings.IndexAny(rest, "/?")
	switch {
	case begin < 0:
		return "/"
	case rest[begin] == '?':
		return "/" + rest[begin:]
	}
	return rest[begin:]
}

// refused is a request that Next refuses: it has the log, the metrics and S3's errors. A password
// in a URL is for nobody to see.
func refused(r *http.Request, err error) *http.Request {
	out := r.WithContext(context.WithValue(r.Context(), refusalKey{}, err))
	out.URL = &url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	return out
}
