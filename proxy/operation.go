package proxy

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// scope is what a request's path names.
type scope uint8

const (
	onService scope = iota // "/"
	onBucket               // "/bucket"
	onObject               // "/bucket/key"
)

// effect is what the proxy does with an operation's data.
type effect string

const (
	encrypts effect = "encrypts/decrypts" // object bytes pass through the envelope
	rewrites effect = "rewrites"          // sizes, ETags, names or checksums are translated
	forwards effect = "forwards"          // re-signed and sent on unchanged
	refuses  effect = "refuses"           // NotImplemented
)

// operation is one row of the table: an S3 operation, how to recognise a request for it, and
// everything of the request that may reach the store. The upstream request is built from these
// lists and never copied from the client, so that proxy and store cannot read one request in two
// ways.
type operation struct {
	name   string
	method string
	scope  scope
	// marks are the query parameters that select this operation; "k=v" requires that value.
	marks []string
	// header, when set, must be present (CopyObject's x-amz-copy-source); a row
	// without it and with a sibling that has it does not match such a request.
	header string
	// query and headers are the other parameters and headers that may pass; a header that
	// ends in "*" is a prefix.
	query   []string
	headers []string
	// own are headers that the proxy itself acts on.
	own    []string
	effect effect
	// chunked: the body may be aws-chunked; in S3 only those of objects and parts may.
	chunked bool
	// signedInBody: the handler finds the signature in the body, and verifies it.
	signedInBody bool
	// preflights: a browser asks whether a page may send the request that the URL is of. It has
	// no signature, and its query means nothing.
	preflights bool
	// manages: needs a credential that may manage.
	manages bool
	// tellsEncryption: the answer says how the object is encrypted.
	tellsEncryption bool
	handle          func(*exchange) error // nil: NotImplemented
	note            string                // for docs/S3.md
}

// ignoredQuery tells whether a parameter may be in any request without effect: SDKs send the name
// of the operation along.
func ignoredQuery(name string) bool { return name == "x-id" }

func markName(mark string) string {
	name, _, _ := strings.Cut(mark, "=")
	return name
}

func (op *operation) marked(q url.Values) bool {
	for _, mark := range op.marks {
		name, want, valued := strings.Cut(mark, "=")
		got, ok := q[name]
		if !ok || (valued && (len(got) != 1 || got[0] != want)) {
			return false
		}
	}
	return true
}

// takes tells whether the row knows the query parameter.
func (op *operation) takes(name string) bool {
	if slices.Contains(op.query, name) {
		return true
	}
	return slices.ContainsFunc(op.marks, func(m string) bool { return markName(m) == name })
}

// passesHeader tells whether a request header may reach the store; name is canonical.
func (op *operation) passesHeader(name string) bool {
	return slices.ContainsFunc(op.headers, func(h string) bool {
		if prefix, ok := strings.CutSuffix(h, "*"); ok {
			return strings.HasPrefix(name, prefix)
		}
		return h == name
	})
}

// knownQuery holds every query parameter that some row knows.
var knownQuery = func() map[string]bool {
	known := map[string]bool{}
	for i := range operations() {
		op := &operations()[i]
		for _, m := range op.marks {
			known[markName(m)] = true
		}
		for _, q := range op.query {
			known[q] = true
		}
	}
	return known
}()

// nameOperation finds the row of a request. A query that fits no row, or that a store might read
// as another operation than we do, is refused: a subresource that only the store understands
// could be a write of plaintext.
func nameOperation(method string, s scope, q url.Values, h http.Header) (*operation, error) {
	found, methodKnown := findOperation(method, s, q, h)
	switch {
	case found == nil && !methodKnown:
		return nil, notAllowed(method, "SERVICE")
	case found == nil:
		if known := unnamed(method, s, q); known != nil {
			return nil, known
		}
		return nil, s3err.InvalidRequest.WithMessage("The query parameters of this request belong to no S3 operation, or to more than one.")
	case method == http.MethodGet || method == http.MethodHead || found.preflights:
		return found, nil
	}
	for name := range q {
		if !knownQuery[name] && !ignoredQuery(name) {
			return nil, s3err.InvalidArgument.WithMessage("Unknown query parameter.").With(s3err.Field{Name: "ArgumentName", Value: name})
		}
	}
	return found, nil
}

// findOperation returns the row that explains most of the request, or nil. methodKnown says that
// there is a row of this method and scope.
func findOperation(method string, s scope, q url.Values, h http.Header) (found *operation, methodKnown bool) {
	rows := operations()
	for i := range rows {
		op := &rows[i]
		if op.scope != s || op.method != method {
			continue
		}
		methodKnown = true
		switch {
		case !op.marked(q), op.header != "" && len(h.Values(op.header)) == 0:
		case op.handle != nil && !op.preflights && op.conflictingParam(q) != "":
		case found == nil || op.rank() > found.rank():
			found = op
		}
	}
	return found, methodKnown
}

func notAllowed(method, resource string) *s3err.Error {
	return s3err.MethodNotAllowed.With(s3err.Field{Name: "Method", Value: method}, s3err.Field{Name: "ResourceType", Value: resource})
}

// unnamed is S3's own error for some requests that are not an operation; nil for others.
func unnamed(method string, s scope, q url.Values) *s3err.Error {
	if s != onObject {
		return nil
	}
	switch {
	case method == http.MethodGet && q.Has("uploads"):
		return s3err.InvalidRequest.WithMessage("Key is not expected for the GET method ?uploads subresource")
	case method == http.MethodGet && q.Has("versions"):
		return s3err.InvalidRequest.WithMessage("There is no such thing as the ?versions sub-resource for a key")
	case method == http.MethodPut && q.Has("partNumber") && !q.Has("uploadId"):
		return s3err.InvalidArgument.WithMessage("This operation does not accept partNumber without uploadId").Argument("partNumber", "partNumber")
	case method == http.MethodPut && q.Has("uploadId"):
		e := notAllowed(method, "UPLOAD")
		e.Header = http.Header{"Allow": {"DELETE, POST, GET"}}
		return e
	case method == http.MethodPost && len(q) == 0:
		return notAllowed(method, "SERVICE")
	}
	return nil
}

// rank prefers the row that explains more of the request.
func (op *operation) rank() int {
	r := 2 * len(op.marks)
	if op.header != "" {
		r++
	}
	return r
}

// conflictingParam gives a query parameter that belongs to another operation, or "".
func (op *operation) conflictingParam(q url.Values) string {
	for name := range q {
		if knownQuery[name] && !ignoredQuery(name) && !op.takes(name) {
			return name
		}
	}
	return ""
}
