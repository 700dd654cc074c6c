package proxy

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// A log shows the values of headers and parameters only if they are listed here as known to hold
// no secrets and no data of users. Of all others it shows the names: a secret may be under any
// name, even a misspelt one.

// masked stands for a value that is not shown.
const masked = "***"

// shownNames are the headers whose values a trace shows, of clients and of the store.
// Checksums are left out: the checksum of a short plaintext reveals it.
var shownNames = set(
	"Accept", "Accept-Encoding", "Accept-Ranges", "Age", "Allow", "Cache-Control", "Connection", "Content-Encoding", "Content-Language",
	"Content-Length", "Content-Range", "Content-Type", "Date", "Etag", "Expect", "Expires", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range",
	"If-Unmodified-Since", "Last-Modified", "Origin", "Range", "Retry-After", "Server", "Transfer-Encoding", "User-Agent", "Vary",
	"X-Amz-Abort-Date", "X-Amz-Acl", "X-Amz-Archive-Status", "X-Amz-Bucket-Object-Lock-Enabled", "X-Amz-Bucket-Region", "X-Amz-Bypass-Governance-Retention",
	"X-Amz-Checksum-Algorithm", "X-Amz-Checksum-Mode", "X-Amz-Checksum-Type", "X-Amz-Copy-Source", "X-Amz-Copy-Source-If-Match",
	"X-Amz-Copy-Source-If-Modified-Since", "X-Amz-Copy-Source-If-None-Match", "X-Amz-Copy-Source-If-Unmodified-Since", "X-Amz-Copy-Source-Range",
	"X-Amz-Copy-Source-Version-Id", "X-Amz-Date", "X-Amz-Decoded-Content-Length", "X-Amz-Delete-Marker", "X-Amz-Expiration", "X-Amz-Id-2",
	"X-Amz-Metadata-Directive", "X-Amz-Missing-Meta", "X-Amz-Mp-Object-Size", "X-Amz-Mp-Parts-Count", "X-Amz-Object-Attributes",
	"X-Amz-Object-Lock-Legal-Hold", "X-Amz-Object-Lock-Mode", "X-Amz-Object-Lock-Retain-Until-Date", "X-Amz-Object-Ownership", "X-Amz-Object-Size",
	"X-Amz-Replication-Status", "X-Amz-Request-Charged", "X-Amz-Request-Id", "X-Amz-Request-Payer", "X-Amz-Restore", "X-Amz-Sdk-Checksum-Algorithm",
	"X-Amz-Server-Side-Encryption", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "X-Amz-Server-Side-Encryption-Bucket-Key-Enabled",
	"X-Amz-Storage-Class", "X-Amz-Tagging-Count", "X-Amz-Tagging-Directive", "X-Amz-Trailer", "X-Amz-Version-Id",
)

// shownParameters are the query parameters whose values a trace shows.
var shownParameters = set(
	"X-Amz-Algorithm", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "bucket-region", "delimiter", "encoding-type", "fetch-owner", "key-marker",
	"list-type", "marker", "max-buckets", "max-keys", "max-parts", "max-uploads", "part-number-marker", "partNumber", "prefix", "start-after",
	"upload-id-marker", "uploadId", "version-id-marker", "versionId", "x-id",
)

func set(names ...string) map[string]bool {
	m := map[string]bool{}
	for _, name := range names {
		m[name] = true
	}
	return m
}

// shownHeaders is h as a log has it.
func shownHeaders(h http.Header) http.Header {
	shown := http.Header{}
	for name, values := range h {
		if shownNames[http.CanonicalHeaderKey(name)] {
			shown[name] = values
		} else {
			shown[name] = []string{masked}
		}
	}
	return shown
}

// shownURI is the request's path and query as a log has them.
func shownURI(r *http.Request) string {
	if q := ShownQuery(r.URL); q != "" {
		return r.URL.EscapedPath() + "?" + q
	}
	return r.URL.EscapedPath()
}

// ShownQuery is u's query as logs and traces have it: with the values of the parameters alone
// that are known to hold no secrets.
func ShownQuery(u *url.URL) string {
	if u.RawQuery == "" {
		return ""
	}
	q := url.Values{}
	for name, values := range u.Query() {
		for _, v := range values {
			if v != "" && !shownParameters[name] {
				v = masked
			}
			q.Add(name, v)
		}
	}
	return strings.ReplaceAll(q.Encode(), url.QueryEscape(masked), masked)
}

// TraceUpstream gives an upstream.Config.Trace that logs at LevelTrace; nil when
// log does not go that far.
func TraceUpstream(log *slog.Logger) func(*http.Request, *http.Response) {
	if !log.Enabled(context.Background(), LevelTrace) {
		return nil
	}
	return func(req *http.Request, resp *http.Response) {
		attrs := []any{"method", req.Method, "uri", shownURI(req), "length", req.ContentLength, "headers", shownHeaders(req.Header)}
		if resp != nil {
			attrs = append(attrs, "status", resp.StatusCode, "answer-length", resp.ContentLength, "answer-headers", shownHeaders(resp.Header))
		}
		log.Log(req.Context(), LevelTrace, "upstream", attrs...)
	}
}

func (p *Proxy) traceRequest(x *exchange) {
	if !p.log.Enabled(x.r.Context(), LevelTrace) {
		return
	}
	p.log.Log(x.r.Context(), LevelTrace, "request", "id", x.id, "method", x.r.Method, "uri", shownURI(x.r),
		"length", x.r.ContentLength, "headers", shownHeaders(x.r.Header))
}

// report tells the log and the observer of a request that was answered.
func (p *Proxy) report(x *exchange, start time.Time, err error) {
	s, ctx := x.served(start, err), x.r.Context()
	s.log(ctx, p.log, p.cfg.RequestLevel)
	if p.cfg.Observe != nil {
		p.cfg.Observe(ctx, s)
	}
	if p.log.Enabled(ctx, LevelTrace) {
		p.log.Log(ctx, LevelTrace, "answer", "id", x.id, "status", s.Status, "sent", s.Sent, "headers", shownHeaders(x.w.Header()))
	}
}
