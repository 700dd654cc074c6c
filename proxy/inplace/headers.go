package inplace

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/object"
)

// keptOnRenewal are the headers of an object, besides its metadata, that a renewal keeps.
var keptOnRenewal = slices.Concat(ContentHeaders, []string{
	"X-Amz-Storage-Class", "X-Amz-Website-Redirect-Location",
	"X-Amz-Object-Lock-Legal-Hold", "X-Amz-Object-Lock-Mode", "X-Amz-Object-Lock-Retain-Until-Date",
}, object.ShownSSEHeaders())

// ContentHeaders are the headers to which the metadata directive applies.
var ContentHeaders = []string{"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Expires"}

// sameObject reports whether two answers are about one state of an object.
func sameObject(a, b http.Header) bool {
	for _, name := range append([]string{"Etag", "Content-Length", "Last-Modified", "X-Amz-Version-Id"}, keptOnRenewal...) {
		if !slices.Equal(a.Values(name), b.Values(name)) {
			return false
		}
	}
	return maps.EqualFunc(metadataOf(a), metadataOf(b), slices.Equal)
}

func metadataOf(h http.Header) http.Header {
	all := http.Header{}
	for name, v := range h {
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			all[name] = v
		}
	}
	return all
}

// preservedHeaders are the headers with which the object is written again, without our metadata.
// They do not include a retention that is over: stores still report it, but refuse it in a write.
func preservedHeaders(s *object.Stored) http.Header {
	h := http.Header{}
	for _, name := range keptOnRenewal {
		if v := s.Header.Values(name); len(v) > 0 {
			h[name] = slices.Clone(v)
		}
	}
	if !s.Retained() {
		h.Del("X-Amz-Object-Lock-Mode")
		h.Del("X-Amz-Object-Lock-Retain-Until-Date")
	}
	object.TrimChunkedEncoding(h)
	for name, v := range metadataOf(s.Header) {
		if !strings.HasPrefix(name, object.MetaHeaderPrefix) {
			h[object.MetaName(name)] = v
		}
	}
	return h
}
