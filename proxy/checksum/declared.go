package checksum

import (
	"crypto/md5"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// Declared is what a client declares about the plaintext that it sends, and what is computed from
// it.
type Declared struct {
	MD5       []byte             // from Content-MD5; nil if not given
	WantsMD5  bool               // computed even so: the ETag is made of it
	Also      envelope.Algorithm // computed beside Algorithm: the upload's
	Algorithm envelope.Algorithm
	Value     []byte // known before the body; nil when it comes in a trailer or was not given
	trailer   string // the trailer that carries it, lower case; "" for none
}

// Given tells whether the client declared a checksum.
func (p *Declared) Given() bool { return p.Value != nil || p.trailer != "" }

// Known are the facts that a client declares before the body. A body that does not match is refused.
func (p *Declared) Known() envelope.Facts {
	f := envelope.Facts{MD5: p.MD5}
	if p.Value != nil {
		f.Checksum = envelope.Checksum{Algorithm: p.Algorithm, Type: envelope.FullObject, Value: p.Value}
	}
	return f
}

// ReadDeclared reads Content-MD5, x-amz-checksum-*, x-amz-trailer and
// x-amz-sdk-checksum-algorithm, with S3's rules and texts. Without any
// checksum CRC64NVME is computed, as S3 does.
func ReadDeclared(h http.Header, trailers []string, presigned bool) (*Declared, error) {
	p := &Declared{}
	if v := h.Values("Content-Md5"); len(v) > 0 {
		sum, err := base64.StdEncoding.DecodeString(v[0])
		if err != nil || len(sum) != md5.Size || len(v) > 1 {
			return nil, s3err.InvalidDigest.With(s3err.Field{Name: "Content-MD5", Value: v[0]})
		}
		p.MD5 = sum
	}
	if err := p.readHeaders(h); err != nil {
		return nil, err
	}
	if err := p.readTrailers(trailers); err != nil {
		return nil, err
	}
	if !presigned {
		if err := p.checkNamed(h.Get("X-Amz-Sdk-Checksum-Algorithm")); err != nil {
			return nil, err
		}
	}
	if p.Algorithm == envelope.NoChecksum {
		p.Algorithm = envelope.CRC64NVME
	}
	return p, nil
}

// readHeaders takes the one checksum among the headers.
func (p *Declared) readHeaders(h http.Header) error {
	for name, values := range h {
		rest, ok := strings.CutPrefix(name, HeaderPrefix)
		if !ok || rest == "Type" || rest == "Algorithm" || rest == "Mode" {
			continue
		}
		a := Named(rest)
		if a == envelope.NoChecksum {
			return s3err.InvalidRequest.WithMessage("The algorithm type you specified in x-amz-checksum- header is invalid.")
		}
		if p.Algorithm != envelope.NoChecksum || len(values) != 1 {
			return ErrMany
		}
		p.Algorithm = a
	}
	if p.Algorithm == envelope.NoChecksum {
		return nil
	}
	name := Header(p.Algorithm)
	value, err := base64.StdEncoding.DecodeString(h.Get(name))
	if err != nil || len(value) != p.Algorithm.Size() {
		return invalidHeader(name)
	}
	p.Value = value
	return nil
}

// readTrailers takes the one checksum that comes behind the body.
func (p *Declared) readTrailers(names []string) error {
	for _, name := range names {
		a := Named(strings.TrimPrefix(name, strings.ToLower(HeaderPrefix)))
		if a == envelope.NoChecksum {
			return s3err.InvalidRequest.WithMessage("The value specified in the x-amz-trailer header is not supported")
		}
		if p.Algorithm != envelope.NoChecksum {
			return ErrMany
		}
		p.Algorithm, p.trailer = a, name
	}
	return nil
}

// checkNamed compares the algorithm that an SDK names with what came; "" names none.
func (p *Declared) checkNamed(name string) error {
	if name == "" {
		return nil
	}
	switch a := Named(name); {
	case a == envelope.NoChecksum:
		return ErrUnknownAlgorithm
	case a == envelope.MD5 && p.MD5 != nil && p.Algorithm == envelope.NoChecksum: // AWS's JavaScript SDK names the digest so
	case p.Algorithm == envelope.NoChecksum:
		return s3err.InvalidRequest.WithMessage("x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
	case a != p.Algorithm:
		return invalidHeader("x-amz-sdk-checksum-algorithm")
	}
	return nil
}

// ReadFinal reads the checksum of the whole object among the headers, in
// either form: "value", or "value-parts" of a composite one.
func ReadFinal(h http.Header) (c envelope.Checksum, err error) {
	for name, values := range h {
		a := Named(strings.TrimPrefix(name, HeaderPrefix))
		if !strings.HasPrefix(name, HeaderPrefix) || a == envelope.NoChecksum {
			continue
		}
		if c.Algorithm != envelope.NoChecksum || len(values) != 1 {
			return c, ErrMany
		}
		text, count, composite := strings.Cut(values[0], "-")
		c.Algorithm, c.Type = a, envelope.FullObject
		if composite {
			c.Type = envelope.Composite
			if _, err := strconv.ParseUint(count, 10, 32); err != nil || a == envelope.CRC64NVME {
				return c, invalidHeader(name)
			}
		}
		if c.Value, err = base64.StdEncoding.DecodeString(text); err != nil || len(c.Value) != a.Size() {
			return c, invalidHeader(name)
		}
	}
	return c, nil
}

// ReadUploadOptions reads which checksum the object shall have, with S3's rules and texts.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html#full-object-checksums
func ReadUploadOptions(h http.Header) (u envelope.Upload, err error) {
	if name := h.Get("X-Amz-Checksum-Algorithm"); name != "" {
		if u.Checksum = Named(name); u.Checksum == envelope.NoChecksum {
			return u, ErrUnknownAlgorithm
		}
	}
	if u.Type, err = ReadType(h); err != nil {
		return u, err
	}
	switch {
	case u.Checksum == envelope.NoChecksum && u.Type != envelope.NoType:
		return u, s3err.InvalidRequest.WithMessage("The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
	case u.Checksum == envelope.NoChecksum:
	case u.Type == envelope.NoType && u.Checksum == envelope.CRC64NVME:
		u.Type = envelope.FullObject
	case u.Type == envelope.NoType:
		u.Type = envelope.Composite
	case u.Type == envelope.FullObject && !combines(u.Checksum), u.Type == envelope.Composite && u.Checksum == envelope.CRC64NVME:
		return u, s3err.InvalidRequest.WithMessage("The %s checksum type cannot be used with the %s checksum algorithm.", TypeName(u.Type), strings.ToLower(u.Checksum.String()))
	}
	return u, nil
}

func ReadType(h http.Header) (envelope.ChecksumType, error) {
	switch v := h.Get("X-Amz-Checksum-Type"); {
	case v == "":
		return envelope.NoType, nil
	case strings.EqualFold(v, TypeName(envelope.FullObject)):
		return envelope.FullObject, nil
	case strings.EqualFold(v, TypeName(envelope.Composite)):
		return envelope.Composite, nil
	}
	return envelope.NoType, invalidHeader("x-amz-checksum-type")
}

// OfHeader is the checksum of the whole object that a store's HEAD tells; the zero
// value where it tells none, or one that is made of parts.
func OfHeader(h http.Header) envelope.Checksum {
	for name, values := range h {
		rest, ok := strings.CutPrefix(name, HeaderPrefix)
		a := Named(rest)
		if !ok || a == envelope.NoChecksum || len(values) != 1 {
			continue
		}
		value, err := base64.StdEncoding.DecodeString(values[0])
		if err != nil || len(value) != a.Size() || strings.EqualFold(h.Get("X-Amz-Checksum-Type"), TypeName(envelope.Composite)) {
			continue
		}
		return envelope.Checksum{Algorithm: a, Type: envelope.FullObject, Value: value}
	}
	return envelope.Checksum{}
}

// SetHeader puts a checksum into an answer's headers as S3 writes it; parts
// is the number behind a composite one.
func SetHeader(h http.Header, c envelope.Checksum, parts int) {
	if c.Algorithm == envelope.NoChecksum {
		return
	}
	h.Set(Header(c.Algorithm), text(c, parts))
	if c.Type != envelope.NoType {
		h.Set("X-Amz-Checksum-Type", TypeName(c.Type))
	}
}

var ErrUnknownAlgorithm = s3err.InvalidRequest.WithMessage("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, MD5, SHA1, SHA256, SHA512, XXHASH128, XXHASH3, XXHASH64]")

var ErrMany = s3err.InvalidRequest.WithMessage("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")

func invalidHeader(name string) error {
	return s3err.InvalidRequest.WithMessage("Value for %s header is invalid.", strings.ToLower(name))
}
