package cors

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// The headers with which a browser asks.
const (
	OriginHeader  = "Origin"
	MethodHeader  = "Access-Control-Request-Method"
	HeadersHeader = "Access-Control-Request-Headers"
)

// Vary is what an answer depends on, in S3's order.
const Vary = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"

// Request is what a page of an origin wants to send.
type Request struct {
	Origin, Method string
	Headers        []string // names that need the page's site to be allowed
}

// OfAnswered reads the request that an answer is given to. As in S3, what a preflight would ask for
// goes before what the request itself is. It is false where no page asks.
func OfAnswered(r *http.Request) (Request, bool) {
	q := Request{Origin: r.Header.Get(OriginHeader), Method: r.Method}
	if m := r.Header.Get(MethodHeader); m != "" {
		q.Method = m
	}
	var err error
	q.Headers, err = requestedHeaders(r.Header)
	return q, q.Origin != "" && err == nil
}

// OfPreflight reads a preflight, and refuses what is none. Its method may be missing.
func OfPreflight(h http.Header) (q Request, err error) {
	q = Request{Origin: h.Get(OriginHeader), Method: h.Get(MethodHeader)}
	if q.Origin == "" {
		return q, s3err.BadRequest.WithMessage("Insufficient information. Origin request header needed.")
	}
	if q.Method != "" && !slices.Contains(methods, q.Method) {
		return q, badMethod(q.Method)
	}
	q.Headers, err = requestedHeaders(h)
	return q, err
}

func badMethod(name string) error {
	return s3err.BadRequest.WithMessage("Invalid Access-Control-Request-Method: %s", name)
}

func requestedHeaders(h http.Header) (names []string, err error) {
	all := strings.Join(h.Values(HeadersHeader), ",")
	if all == "" {
		return nil, nil
	}
	for name := range strings.SplitSeq(all, ",") {
		trimmed := strings.Trim(name, " \t")
		if !isName(trimmed) {
			return nil, s3err.BadRequest.WithMessage(`Access-Control-Request-Headers "%s" contains invalid character.`, name)
		}
		names = append(names, strings.ToLower(trimmed))
	}
	return names, nil
}

// Allowed is a request with the rule that allows it.
type Allowed struct {
	rule    *Rule
	anyone  bool // the rule is for all origins
	request Request
}

// Match finds the first rule that allows a request. A nil configuration has no rules.
func (c *Configuration) Match(q Request) (Allowed, bool) {
	if c == nil {
		return Allowed{}, false
	}
	for i := range c.Rules {
		r := &c.Rules[i]
		if origin, ok := r.origin(q.Origin); ok && slices.Contains(r.Methods, q.Method) && r.takes(q.Headers) {
			return Allowed{rule: r, anyone: origin == "*", request: q}, true
		}
	}
	return Allowed{}, false
}

// origin gives the first pattern of the rule that an origin fits.
func (r *Rule) origin(origin string) (pattern string, ok bool) {
	i := slices.IndexFunc(r.Origins, func(p string) bool { return fits(p, origin) })
	if i < 0 {
		return "", false
	}
	return r.Origins[i], true
}

// takes tells whether the rule allows all these headers. A document has room for thousands of
// patterns and a request for thousands of names, before anybody has shown a key: what can be done
// once is not done for each pair.
func (r *Rule) takes(names []string) bool {
	exact, wild := map[string]bool{}, []string{}
	for _, p := range r.Headers {
		if p = strings.ToLower(p); strings.Contains(p, "*") {
			wild = append(wild, p)
		} else {
			exact[p] = true
		}
	}
	for _, name := range names {
		if !exact[name] && !slices.ContainsFunc(wild, func(p string) bool { return fits(p, name) }) {
			return false
		}
		exact[name] = true // not again
	}
	return true
}

// fits compares a text with a pattern of at most one *.
func fits(pattern, text string) bool {
	before, after, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == text
	}
	return len(text) >= len(before)+len(after) && strings.HasPrefix(text, before) && strings.HasSuffix(text, after)
}

// SetHeaders tells a browser what the page may do, as S3 does.
func (a Allowed) SetHeaders(h http.Header) {
	h.Set("Vary", Vary)
	h.Set("Access-Control-Allow-Methods", strings.Join(a.rule.Methods, ", "))
	if a.anyone {
		h.Set("Access-Control-Allow-Origin", "*")
	} else {
		h.Set("Access-Control-Allow-Origin", a.request.Origin)
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	if len(a.request.Headers) > 0 {
		h.Set("Access-Control-Allow-Headers", strings.Join(a.request.Headers, ", "))
	}
	if len(a.rule.Exposed) > 0 {
		h.Set("Access-Control-Expose-Headers", strings.Join(a.rule.Exposed, ", "))
	}
	if a.rule.MaxAge != nil {
		h.Set("Access-Control-Max-Age", strconv.Itoa(int(*a.rule.MaxAge)))
	}
}

// Resource is what a preflight is about, in the words of S3's errors.
type Resource string

// The resources.
const (
	Bucket Resource = "BUCKET"
	Object Resource = "OBJECT"
)

// Refused says that no rule of the bucket allows a preflight.
func Refused(q Request, about Resource) error {
	if q.Method == "" {
		return badMethod("null")
	}
	return forbidden("This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.", q, about)
}

// NoRules says that the bucket has none, and NoBucket that there is no bucket.
func NoRules(q Request) error  { return forbidden("CORS is not enabled for this bucket.", q, Bucket) }
func NoBucket(q Request) error { return forbidden("Bucket not found", q, Bucket) }

func forbidden(why string, q Request, about Resource) error {
	method := q.Method
	if method == "" {
		method = http.MethodOptions
	}
	return s3err.AccessForbidden.WithMessage("CORSResponse: %s", why).With(s3err.Field{Name: "Method", Value: method}, s3err.Field{Name: "ResourceType", Value: string(about)})
}
