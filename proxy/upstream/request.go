package upstream

import (
	"hash"
	"io"
	"net/http"
	"net/url"

	"github.com/s3proxy/s3proxy/proxy/s3name"
)

// Request is one request to the store. Nothing of a client's request gets into
// it but what a handler has put there by name. What names a place is of a checked
// type; Do refuses a request that hides an id in Query, or a copy's source in Header.
type Request struct {
	Method    string
	Bucket    s3name.Bucket // zero: the service itself
	Key       s3name.Key    // zero: the bucket itself
	UploadID  s3name.UploadID
	VersionID s3name.VersionID // zero: the current one, or none at all
	Source    *s3name.Source   // of a copy; nil for none
	Query     url.Values
	Header    http.Header
	// Bytes is a body in memory, nil for none; net/http sends it again when a
	// connection turned out stale before anything was written.
	Bytes []byte
	// Readers, if not nil, gives readers of Bytes, which are used again once Do has returned:
	// net/http, which may read longer, gets these readers and never the bytes.
	Readers func() io.ReadCloser
	// Body is a streamed one, pulled while it is sent, of exactly Length bytes.
	Body   io.Reader
	Length int64
	// SHA256 is that of Body, where it is known: the body is signed by it. nil otherwise.
	SHA256 []byte
	// Checksum is the one that the store gets with the body; nil: one of the
	// client's own.
	Checksum *Checksum
	// Unsigned sends the request without credentials: the store judges it as anonymous.
	Unsigned bool
}

// Payload says how the store can tell that it has a whole body. Not every
// store holds a body to its Content-Length (versitygw 1.8 keeps what came when
// the connection is cut), so that a bare body is not enough.
type Payload string

// Checksum is one of the body, as S3 has them.
type Checksum struct {
	Header string    // x-amz-checksum-...
	Hash   hash.Hash // fresh; the body goes through it
}
