package doctor

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/sigv4"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// Endpoint is where clients reach a running proxy, perhaps by way of a balancer.
type Endpoint struct {
	URL    *url.URL
	Region string
	// Credentials are a client's; without an access key nothing signed is tried.
	Credentials aws.Credentials
	HTTP        *http.Client     // that follows no redirect
	Client      *upstream.Client // of it, with the credentials
	Bucket      s3name.Bucket    // to write a test object in; zero: none is written
	Advice      Advice
}

// do says what to do about an error.
func (e *Endpoint) do(ctx context.Context, err error) string {
	return cmp.Or(e.Advice(ctx, err), "look at the proxy's log, and at that of the balancer")
}

// Checks are those from a client's side.
func (e *Endpoint) Checks() []Check {
	at := e.URL.Redacted()
	return []Check{
		{Name: "endpoint", At: at, Look: e.reach}, {Name: "endpoint-clock", At: at, Look: e.clock}, {Name: "endpoint-host", At: at, Look: e.host}, {Name: "endpoint-round-trip", At: at, Look: e.roundTrip},
	}
}

// ask sends a GET of the buckets, signed for a host, which need not be the one that it is sent
// to, and must not be one that an answer has named; "" sends it unsigned.
func (e *Endpoint) ask(ctx context.Context, signedFor string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(e.URL.String(), "/")+"/", nil)
	if err != nil {
		return nil, err
	}
	if signedFor != "" {
		sent := req.Host
		req.Host = signedFor
		if err := sigv4.NewSigner(e.Region).Sign(ctx, req, e.Credentials, sigv4.UnsignedPayload, time.Now()); err != nil {
			return nil, err
		}
		req.Host = sent
	}
	resp, err := e.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	resp.Body.Close()
	resp.Body = io.NopCloser(strings.NewReader(string(body)))
	return resp, err
}

func (e *Endpoint) reach(ctx context.Context) Finding {
	resp, err := e.ask(ctx, "")
	switch {
	case err != nil:
		return failed(e.do(ctx, err), "%s", oneLine(err))
	case resp.StatusCode >= 500:
		return failed("look at the balancer and at /readyz of the proxies", "it answers with %s", resp.Status)
	case resp.StatusCode/100 == 3:
		return failed("name the address that it leads to, or let the balancer forward and not redirect: S3 clients follow no such redirects", "it redirects to %s", shown(resp.Header.Get("Location")))
	}
	return well("it answers")
}

func (e *Endpoint) clock(ctx context.Context) Finding {
	before := time.Now()
	resp, err := e.ask(ctx, "")
	if err != nil {
		return skipped("it does not answer")
	}
	return skewOf(resp.Header, before)
}

const doHost = "let the balancer pass the Host header as the client sent it (nginx: proxy_set_header Host $http_host; Apache: ProxyPreserveHost On; HAProxy and Envoy do so by default; AWS ALB: preserve host header)"

// host looks whether the proxy gets requests with the Host that clients have signed.
func (e *Endpoint) host(ctx context.Context) Finding {
	if e.Credentials.AccessKeyID == "" {
		return skipped("no client's key is known: set S3PROXY_ACCESS_KEY_ID and S3PROXY_SECRET_ACCESS_KEY")
	}
	resp, err := e.ask(ctx, e.URL.Host)
	if err != nil {
		return skipped("it does not answer")
	}
	refused := s3err.FromResponse(resp)
	switch {
	case resp.StatusCode/100 == 2 || refused.Code == "AccessDenied":
		return well("the signature of a request is accepted")
	case refused.Code != s3err.SignatureDoesNotMatch.Code:
		return failed(e.do(ctx, refused), "a signed request is refused: %s", oneLine(refused))
	}
	got, told := requestSeen(refused.Field("CanonicalRequest"))
	if !told {
		return e.guessHost(ctx)
	}
	switch {
	case got.host != e.URL.Host:
		return failed(doHost, "something on the way rewrites the Host header from %s to %s: it answers that this is the one that it has seen", e.URL.Host, shown(got.host))
	case got.path != requestPath(e.URL):
		return failed("let the balancer pass the path as the client sent it", "something on the way rewrites the path from %s to %s", requestPath(e.URL), shown(got.path))
	case got.query != "":
		return failed("let the balancer pass the query as the client sent it", "something on the way adds a query to requests")
	}
	return failed("correct S3PROXY_SECRET_ACCESS_KEY, or let the balancer pass requests as they are", "the signature is refused, and Host, path and query came as they were sent: the secret key is wrong, or a header was changed")
}

// guessHost is for an endpoint that does not tell what it has seen. It signs for other spellings
// of the endpoint's own name alone: what is signed for another host could be sent on to that.
func (e *Endpoint) guessHost(ctx context.Context) Finding {
	for _, host := range otherSpellings(e.URL) {
		if resp, err := e.ask(ctx, host); err == nil && s3err.FromResponse(resp).Code != s3err.SignatureDoesNotMatch.Code {
			return failed(doHost, "something on the way rewrites the Host header from %s to %s: a request that is signed for the first is refused, one for the second accepted", e.URL.Host, host)
		}
	}
	return failed("correct S3PROXY_SECRET_ACCESS_KEY, or let the balancer pass requests as they are", "the signature is refused, and nothing tells why: the secret key is wrong, or something on the way changes Host, path, query or a header")
}

// shown is what an answer says, for a terminal: without what is not printable, and not for ever.
func shown(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
	return s[:min(len(s), 255)]
}

func requestPath(u *url.URL) string { return strings.TrimSuffix(u.EscapedPath(), "/") + "/" }

// otherSpellings are the other ways to write the host of a URL.
func otherSpellings(u *url.URL) (hosts []string) {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	for _, host := range []string{u.Hostname(), u.Hostname() + ":" + port} {
		if host != u.Host {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

type seen struct{ path, query, host string }

// requestSeen reads what the proxy tells of the request that it has seen: method, path, query and
// headers, a line each.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
func requestSeen(canonical string) (got seen, told bool) {
	lines := strings.Split(canonical, "\n")
	if len(lines) < 4 {
		return got, false
	}
	got.path, got.query = lines[1], lines[2]
	for _, line := range lines[3:] {
		if host, is := strings.CutPrefix(line, "host:"); is {
			got.host = host
			return got, true
		}
	}
	return got, false
}

// roundTrip writes and reads an object as a client does, so that what is on the way sees a body
// in chunks with a checksum behind it.
func (e *Endpoint) roundTrip(ctx context.Context) (f Finding) {
	switch {
	case e.Bucket == (s3name.Bucket{}):
		return skipped("it writes a test object: name a bucket for it by --bucket")
	case e.Credentials.AccessKeyID == "":
		return skipped("no client's key is known")
	case e.Client.HasDefaultRetention(ctx, e.Bucket):
		return stays(e.Bucket)
	}
	key, err := s3name.ParseKey(fmt.Sprintf("%s%d", Folder, time.Now().UnixNano()))
	if err != nil {
		return skipped("%s", oneLine(err))
	}
	body := content(200_000)
	version, err := putVersion(ctx, e.Client, e.Bucket, key, body, nil)
	defer func() {
		within, cancel := afterwards(ctx)
		defer cancel()
		left := e.removeTest(within, key, version, err == nil)
		switch {
		case left == nil:
		case f.State == OK:
			f = warning("remove it yourself", "the test object %s could not be deleted: %s", key, oneLine(left))
		default:
			f.Found += fmt.Sprintf("; the test object %s may be left there: %s", key, oneLine(left))
		}
	}()
	if err != nil {
		return failed(e.do(ctx, err), "the test object could not be written: %s", oneLine(err))
	}
	return readBack(ctx, e.Client, e.Bucket, key, body)
}

// removeTest deletes the version of the test object that was answered. A PUT that failed may have
// written one all the same; where it has not, a DELETE would leave a marker.
func (e *Endpoint) removeTest(ctx context.Context, key s3name.Key, version s3name.VersionID, written bool) error {
	if !written {
		resp, err := e.Client.Do(ctx, &upstream.Request{Method: http.MethodHead, Bucket: e.Bucket, Key: key})
		if upstream.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		resp.Body.Close()
		if version, err = upstream.AnsweredVersion(resp.Header); err != nil {
			return err
		}
	}
	return remove(ctx, e.Client, e.Bucket, key, version)
}
