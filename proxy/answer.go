package proxy

import (
	"encoding/xml"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// answer records what was sent to the client.
type answer struct {
	http.ResponseWriter
	id     string // the request's, which every answer tells
	status int
	bytes  atomic.Int64
	length atomic.Int64 // of the body, as its headers say; 0: unknown
	began  time.Time    // when the status was sent
	// deadlines are those of the client's connection; idle is that of a client that takes nothing of
	// the answer.
	deadlines deadlines
	idle      idleTimeout
	// beforeHeader adds to the header when it goes out; nil: nothing.
	beforeHeader func(http.Header)
}

func newAnswer(w http.ResponseWriter, id string) *answer {
	a := &answer{ResponseWriter: w, id: id, deadlines: deadlines{of: http.NewResponseController(w)}}
	a.idle = idleTimeout{of: &a.deadlines, set: (*deadlines).setWriteDeadline}
	return a
}

func (a *answer) WriteHeader(status int) {
	if status >= 200 && a.status == 0 {
		a.begin(status)
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) begin(status int) {
	a.status, a.began = status, time.Now()
	a.idle.renew()
	if a.beforeHeader != nil {
		a.beforeHeader(a.Header())
	}
	a.Header().Set("X-Amz-Request-Id", a.id)
	if n, err := strconv.ParseInt(a.Header().Get("Content-Length"), 10, 64); err == nil {
		a.length.Store(n)
	}
}

func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.begin(http.StatusOK)
	}
	a.idle.renew()
	n, err := a.ResponseWriter.Write(b)
	a.bytes.Add(int64(n))
	if err != nil {
		err = clientGone{err}
	}
	return n, err
}

func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// response is the answer to one request.
type response struct {
	w  *answer
	id string // the request id that the client is told
	// ownRules says that the proxy's CORS rules decide what a page of another site may see.
	ownRules  bool
	overHTTP1 bool
	*noted
}

// noted is what handlers note for the log: copies of an exchange share it.
type noted struct {
	received   atomic.Int64 // bytes that were read of the request's body
	upstreamID string       // the request id of the store's answer that this one is made of
	kek        string       // the key that wrapped the key of the object, once that was used
	plaintext  bool         // the object is served without having been decrypted
	legacy     bool         // the object is the older s3proxy's: decrypted, and not authenticated
	refused    bool         // who sent the request is not known: its signature was refused
}

// begun tells whether the client has seen anything of the answer.
func (x *response) begun() bool { return x.w.status != 0 }

// objectHeaders are the store's answer headers about an object that a client
// sees unchanged. Those about the ciphertext (length, checksums, number of parts,
// encryption) are left out.
var objectHeaders = []string{
	"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Expires", "Last-Modified",
	"X-Amz-Delete-Marker", "X-Amz-Expiration", "X-Amz-Object-Lock-Legal-Hold", "X-Amz-Object-Lock-Mode",
	"X-Amz-Object-Lock-Retain-Until-Date", "X-Amz-Replication-Status", "X-Amz-Request-Charged", "X-Amz-Restore",
	"X-Amz-Storage-Class", "X-Amz-Tagging-Count", "X-Amz-Version-Id", "X-Amz-Website-Redirect-Location", "X-Amz-Archive-Status",
}

// passHeaders copies the headers that every answer about an object may carry.
func (x *response) passHeaders(from http.Header) {
	to := x.w.Header()
	for _, name := range objectHeaders {
		if v := from[name]; len(v) > 0 { // name is canonical
			to[name] = v
		}
	}
	for name, v := range from {
		if strings.HasPrefix(name, "X-Amz-Meta-") && !object.IsOwnMetadata(name) {
			to[object.MetaName(name)] = v
		}
	}
	// versitygw 1.8 keeps the transport coding that we sent it with the object.
	object.TrimChunkedEncoding(to)
	x.passCommon(from)
}

// passCommon keeps what every answer may have of the store's: the headers of its CORS rules, where
// ours do not count, and x-amz-id-2, and for the log its request id, which its operator can look up.
func (x *response) passCommon(from http.Header) {
	for name, v := range from {
		if !x.ownRules && (strings.HasPrefix(name, "Access-Control-") || name == "Vary") {
			x.w.Header()[name] = v
		}
	}
	if v := from.Get("X-Amz-Request-Id"); v != "" {
		x.upstreamID = v
	}
	if v := from.Get("X-Amz-Id-2"); v != "" {
		x.w.Header().Set("X-Amz-Id-2", v)
	}
}

// documentMemory is what documents are written into before they are sent: a listing of 1,000 objects
// has 350 KB. Over HTTP/1 nothing looks at it when Write has returned; over HTTP/2 the connection may
// still send it when the client has given up its request, so that it is not used again.
var documentMemory = sync.Pool{New: func() any { return new([]byte) }}

// maxDocumentMemory is how much of it is kept for one document, in bytes.
const maxDocumentMemory = 1 << 20

// answerXML sends a result document.
func (x *response) answerXML(doc any) error { return x.answerDocument(http.StatusOK, doc) }

func (x *response) answerDocument(status int, doc any) error {
	memory := documentMemory.Get().(*[]byte)
	body, err := s3xml.MarshalIn(*memory, doc)
	if err != nil {
		return err
	}
	if x.overHTTP1 {
		defer func() {
			if cap(body) <= maxDocumentMemory {
				clear(body)
				*memory = body
				documentMemory.Put(memory)
			}
		}()
	}
	h := x.w.Header()
	h.Set("Content-Type", "application/xml")
	h.Set("Content-Length", strconv.Itoa(len(xml.Header)+len(body)))
	x.w.WriteHeader(status)
	if _, err := io.WriteString(x.w, xml.Header); err != nil {
		return err
	}
	_, err = x.w.Write(body)
	return err
}

// answerError sends an error document. From a store's refusal it keeps the headers that
// mean something to the client.
func (x *exchange) answerError(e *s3err.Error) {
	x.passHeaders(e.Header)
	h := x.w.Header()
	for _, name := range []string{"Content-Type", "Content-Encoding", "Content-Disposition", "Content-Language"} {
		h.Del(name) // they describe the object, or the store's error page
	}
	for _, name := range []string{"Retry-After", "Allow"} {
		if v := e.Header.Get(name); v != "" {
			h.Set(name, v)
		}
	}
	if v := e.Header.Get("Etag"); v != "" && e.Status == http.StatusNotModified {
		h["ETag"] = []string{v}
	}
	e.Write(x.w, x.r, x.r.URL.Path, x.id, h.Get("X-Amz-Id-2"))
}
