package s3err

import (
	"bytes"
	"encoding/xml"
	"net/http"
	"slices"
	"strconv"
)

// ownHeaders are what an error may bring into its answer. Of an Error that holds
// a store's headers nothing else gets through by itself.
var ownHeaders = []string{"Allow", "Retry-After", "X-Amz-Bucket-Region"}

// Write answers the request r with this error: status, S3's XML, and of e.Header
// what belongs to an error (Allow, Retry-After, x-amz-bucket-region). An answer
// to HEAD and a 304 have no body. resource, requestID and hostID may be empty;
// then their elements are left out. The cause is not written.
func (e *Error) Write(w http.ResponseWriter, r *http.Request, resource, requestID, hostID string) {
	h := w.Header()
	for _, name := range ownHeaders {
		if values := e.Header.Values(name); len(values) > 0 {
			h[name] = slices.Clone(values)
		}
	}
	if e.Status == http.StatusNotModified {
		w.WriteHeader(e.Status)
		return
	}
	h.Set("Content-Type", "application/xml")
	if r.Method == http.MethodHead {
		h.Del("Content-Length")
		w.WriteHeader(e.Status)
		return
	}
	body := e.encode(resource, requestID, hostID)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.Status)
	w.Write(body)
}

// encode gives the XML document. The elements that Write's caller names take
// the place of a store's own, which FromResponse left in Fields.
func (e *Error) encode(resource, requestID, hostID string) []byte {
	return append([]byte(xml.Header), e.Element(resource, requestID, hostID)...)
}

// Element gives the <Error> element alone, for the end of an answer that was begun
// with status 200, as S3 does in a long CompleteMultipartUpload.
func (e *Error) Element(resource, requestID, hostID string) []byte {
	var b bytes.Buffer
	b.WriteString("<Error>")
	element(&b, "Code", e.Code)
	element(&b, "Message", e.Message)
	for _, f := range e.Fields {
		if !reserved(f.Name) && elementName(f.Name) {
			element(&b, f.Name, f.Value)
		}
	}
	for _, f := range [...]Field{{"Resource", resource}, {"RequestId", requestID}, {"HostId", hostID}} {
		if f.Value != "" {
			element(&b, f.Name, f.Value)
		}
	}
	b.WriteString("</Error>")
	return b.Bytes()
}

func reserved(name string) bool {
	switch name {
	case "Code", "Message", "Resource", "RequestId", "HostId":
		return true
	}
	return false
}

func element(b *bytes.Buffer, name, value string) {
	b.WriteString("<" + name + ">")
	var text bytes.Buffer
	xml.EscapeText(&text, []byte(value)) // to a bytes.Buffer: cannot fail
	// S3 leaves quotes as they are, and there are clients that look for its messages.
	b.Write(bytes.ReplaceAll(text.Bytes(), []byte("&#34;"), []byte(`"`)))
	b.WriteString("</" + name + ">")
}

// elementName keeps anything that is not a plain name out of the tags: the
// names of FromResponse come from outside.
func elementName(s string) bool {
	for i, c := range []byte(s) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_'
		if !letter && (i == 0 || c != '-' && c != '.' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != "" && len(s) <= 64
}
