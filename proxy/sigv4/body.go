package sigv4

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// The values of x-amz-content-sha256 that are no hash.
const (
	// UnsignedPayload says that the signature does not cover the body.
	UnsignedPayload = "UNSIGNED-PAYLOAD"

	streamingUnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	streamingSigned          = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	streamingSignedTrailer   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	streamingV4a             = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"
	streamingV4aTrailer      = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER"
)

// payloadHeader gives x-amz-content-sha256, checked, or "" when there is none.
func payloadHeader(r *http.Request) (string, error) {
	values := r.Header.Values("X-Amz-Content-Sha256")
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		return "", nil
	}
	value := strings.Join(values, ",")
	return value, checkPayload(value)
}

func checkPayload(value string) error {
	switch value {
	case UnsignedPayload, streamingUnsignedTrailer, streamingSigned, streamingSignedTrailer, streamingV4a, streamingV4aTrailer:
		return nil
	}
	if sum, err := hex.DecodeString(value); err == nil && len(sum) == sha256.Size {
		return nil
	}
	return s3err.InvalidArgument.WithMessage("x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER or a valid sha256 value.").
		Argument("x-amz-content-sha256", value)
}

// Streaming tells whether the body is aws-chunked. S3 takes such bodies only for
// PutObject and UploadPart.
func (a *Auth) Streaming() bool { return strings.HasPrefix(a.Payload, "STREAMING-") }

// Body is the decoded body of a request. io.EOF is given only when everything
// that the client declared has been verified: the hash or each signature, the
// final chunk, the trailers, both lengths. Any other error is an *s3err.Error,
// and what was read before it must not be used. The memory is constant: the data
// of a signed chunk flows before its signature is known, but for its last piece.
//
// A Body is for one goroutine.
type Body struct {
	// Length is the number of bytes after decoding; -1 when the request does not
	// say.
	Length int64

	src      io.Reader
	declared []string
	trailers map[string]string
	err      error
}

// Body checks the headers that describe the body of r, which Verify has
// accepted, and gives the decoded body. It reads nothing yet.
func (a *Auth) Body(r *http.Request) (*Body, error) {
	var in io.Reader = http.NoBody
	if r.Body != nil {
		in = r.Body
	}
	if r.ContentLength >= 0 {
		in = &framed{in: in, left: r.ContentLength}
	}
	if a.Streaming() {
		return a.streamingBody(r, in)
	}
	if len(r.Header.Values("X-Amz-Trailer")) > 0 {
		// Only the streaming shapes have a place for it.
		return nil, errTrailerHeader
	}
	b := &Body{Length: r.ContentLength, src: in}
	if a.Payload != "" && a.Payload != UnsignedPayload {
		b.src = &hashed{in: in, sum: sha256.New(), want: strings.ToLower(a.Payload)}
	}
	return b, nil
}

var (
	errTrailerHeader = s3err.InvalidRequest.WithMessage("The value specified in the x-amz-trailer header is not supported")
	errAnonymous     = s3err.InvalidRequest.WithMessage("Anonymous requests don't support this x-amz-content-sha256 value. Please use UNSIGNED-PAYLOAD or STREAMING-UNSIGNED-PAYLOAD-TRAILER.")
	// ErrPayloadUse refuses a payload in a shape that the request cannot have.
	ErrPayloadUse = s3err.InvalidRequest.WithMessage("The value of x-amz-content-sha256 header is invalid.")
)

func (a *Auth) streamingBody(r *http.Request, in io.Reader) (*Body, error) {
	signed := a.Payload != streamingUnsignedTrailer
	withTrailer := a.Payload != streamingSigned
	switch {
	case a.Payload == streamingV4a, a.Payload == streamingV4aTrailer:
		return nil, s3err.NotImplemented.WithMessage("The chunk encoding algorithm %s is not supported.", a.Payload)
	case signed && a.AccessKeyID == "":
		return nil, errAnonymous
	case signed && a.Presigned:
		return nil, ErrPayloadUse
	}
	length, err := decodedLength(r)
	if err != nil {
		return nil, err
	}
	declared, err := declaredTrailers(r)
	if err != nil {
		return nil, err
	}
	if !withTrailer && len(declared) > 0 {
		return nil, errTrailerHeader
	}
	if withTrailer && signed && len(declared) == 0 {
		return nil, s3err.MalformedTrailerError
	}
	b := &Body{Length: length, declared: declared, trailers: map[string]string{}}
	c := &chunked{in: bufio.NewReaderSize(in, lineBuffer), want: length, declared: declared, trailers: b.trailers}
	if signed {
		chain := a.chain
		c.chain, c.sum, c.signedTrailer = &chain, sha256.New(), withTrailer
	}
	b.src = c
	return b, nil
}

func decodedLength(r *http.Request) (int64, error) {
	values := r.Header.Values("X-Amz-Decoded-Content-Length")
	if len(values) != 1 {
		return 0, s3err.MissingContentLength
	}
	n, err := strconv.ParseUint(values[0], 10, 63)
	if err != nil {
		return 0, s3err.MissingContentLength
	}
	return int64(n), nil
}

// declaredTrailers reads x-amz-trailer: names, repeated or separated by commas.
func declaredTrailers(r *http.Request) ([]string, error) {
	var names []string
	for _, value := range r.Header.Values("X-Amz-Trailer") {
		for name := range strings.SplitSeq(value, ",") {
			name = strings.ToLower(strings.TrimSpace(name))
			if name == "" || name == trailerSignature || slices.Contains(names, name) || len(names) == maxTrailers {
				return nil, errTrailerHeader
			}
			names = append(names, name)
		}
	}
	return names, nil
}

// DeclaredTrailers are the names in x-amz-trailer, in lower case.
func (b *Body) DeclaredTrailers() []string { return b.declared }

// Trailers gives the trailers by their names in lower case. They are complete
// and verified after io.EOF, not before.
func (b *Body) Trailers() map[string]string { return b.trailers }

// Read implements io.Reader; see Body.
func (b *Body) Read(p []byte) (int, error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	n, err := b.src.Read(p)
	var refused *s3err.Error
	switch {
	case err == nil:
		return n, nil
	case err == io.EOF, errors.As(err, &refused):
		b.err = err
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.err = s3err.RequestTimeout.Because(err)
	default:
		b.err = s3err.IncompleteBody.Because(err)
	}
	return n, b.err
}

// framed holds a body to its Content-Length, in case nobody below does.
type framed struct {
	in   io.Reader
	left int64
}

func (f *framed) Read(p []byte) (int, error) {
	n, err := f.in.Read(p)
	f.left -= int64(n)
	if f.left < 0 || err == io.EOF && f.left > 0 {
		return 0, errWrongLength
	}
	return n, err
}

// hashed compares a body with the SHA-256 that was signed.
type hashed struct {
	in   io.Reader
	sum  hash.Hash
	want string
}

func (h *hashed) Read(p []byte) (int, error) {
	n, err := h.in.Read(p)
	h.sum.Write(p[:n])
	if err == io.EOF {
		if got := hex.EncodeToString(h.sum.Sum(nil)); !equal(got, h.want) {
			return 0, s3err.XAmzContentSHA256Mismatch.With(
				s3err.Field{Name: "ClientComputedContentSHA256", Value: h.want},
				s3err.Field{Name: "S3ComputedContentSHA256", Value: got})
		}
	}
	return n, err
}
