package proxy

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
	"github.com/minio/crc64nvme"
	"github.com/zeebo/xxh3"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/sigv4"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

const checksumHeaderPrefix = "X-Amz-Checksum-"

// algorithms are all that S3 has: "Checking object integrity in Amazon S3",
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
var algorithms = map[envelope.Algorithm]func() hash.Hash{
	envelope.CRC32:     func() hash.Hash { return crc32.NewIEEE() },
	envelope.CRC32C:    func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	envelope.CRC64NVME: func() hash.Hash { return crc64nvme.New() },
	envelope.SHA1:      sha1.New,
	envelope.SHA256:    sha256.New,
	envelope.SHA512:    sha512.New,
	envelope.MD5:       md5.New,
	envelope.XXHASH64:  func() hash.Hash { return xxhash.New() },
	envelope.XXHASH3:   func() hash.Hash { return xxh3.New() },
	envelope.XXHASH128: func() hash.Hash { return xxh128{xxh3.New()} },
}

// xxh128 gives the 128-bit digest of the same hasher.
type xxh128 struct{ *xxh3.Hasher }

func (h xxh128) Size() int { return 16 }
func (h xxh128) Sum(b []byte) []byte {
	sum := h.Sum128().Bytes()
	return append(b, sum[:]...)
}

// algorithmNamed finds an algorithm by its S3 name in any case; NoChecksum if there is none.
func algorithmNamed(name string) envelope.Algorithm {
	for a := range algorithms {
		if strings.EqualFold(a.String(), name) {
			return a
		}
	}
	return envelope.NoChecksum
}

func checksumHeader(a envelope.Algorithm) string {
	return http.CanonicalHeaderKey(checksumHeaderPrefix + a.String())
}

// promise is what a client said about the plaintext that it sends, and what is
// computed of it.
type promise struct {
	md5       []byte             // from Content-MD5; nil if not given
	wantsMD5  bool               // computed even so: the ETag is made of it
	also      envelope.Algorithm // computed beside algorithm: the upload's
	algorithm envelope.Algorithm
	value     []byte // known before the body; nil when it comes in a trailer or was not given
	trailer   string // the trailer that carries it, lower case; "" for none
}

// given tells whether the client promised a checksum.
func (p *promise) given() bool { return p.value != nil || p.trailer != "" }

// readPromise reads Content-MD5, x-amz-checksum-*, x-amz-trailer and
// x-amz-sdk-checksum-algorithm, with S3's rules and texts. Without any
// checksum CRC64NVME is computed, as S3 does.
func readPromise(h http.Header, trailers []string, presigned bool) (*promise, error) {
	p := &promise{}
	if v := h.Values("Content-Md5"); len(v) > 0 {
		sum, err := base64.StdEncoding.DecodeString(v[0])
		if err != nil || len(sum) != md5.Size || len(v) > 1 {
			return nil, s3err.InvalidDigest.With(s3err.Field{Name: "Content-MD5", Value: v[0]})
		}
		p.md5 = sum
	}
	for name, values := range h {
		rest, ok := strings.CutPrefix(name, checksumHeaderPrefix)
		if !ok || rest == "Type" || rest == "Algorithm" || rest == "Mode" {
			continue
		}
		a := algorithmNamed(rest)
		if a == envelope.NoChecksum {
			return nil, s3err.InvalidRequest.WithMessage("The algorithm type you specified in x-amz-checksum- header is invalid.")
		}
		if p.algorithm != envelope.NoChecksum || len(values) != 1 {
			return nil, errManyChecksums
		}
		p.algorithm = a
	}
	if p.algorithm != envelope.NoChecksum {
		name := checksumHeader(p.algorithm)
		value, err := base64.StdEncoding.DecodeString(h.Get(name))
		if err != nil || len(value) != p.algorithm.Size() {
			return nil, invalidHeader(name)
		}
		p.value = value
	}
	for _, name := range trailers {
		a := algorithmNamed(strings.TrimPrefix(name, strings.ToLower(checksumHeaderPrefix)))
		if a == envelope.NoChecksum {
			return nil, s3err.InvalidRequest.WithMessage("The value specified in the x-amz-trailer header is not supported")
		}
		if p.algorithm != envelope.NoChecksum {
			return nil, errManyChecksums
		}
		p.algorithm, p.trailer = a, name
	}
	if sdk := h.Get("X-Amz-Sdk-Checksum-Algorithm"); sdk != "" && !presigned {
		switch a := algorithmNamed(sdk); {
		case a == envelope.NoChecksum:
			return nil, errUnknownAlgorithm
		case a == envelope.MD5 && p.md5 != nil && p.algorithm == envelope.NoChecksum: // AWS's JavaScript SDK names the digest so
		case p.algorithm == envelope.NoChecksum:
			return nil, s3err.InvalidRequest.WithMessage("x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
		case a != p.algorithm:
			return nil, invalidHeader("x-amz-sdk-checksum-algorithm")
		}
	}
	if p.algorithm == envelope.NoChecksum {
		p.algorithm = envelope.CRC64NVME
	}
	return p, nil
}

var errUnknownAlgorithm = s3err.InvalidRequest.WithMessage("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, MD5, SHA1, SHA256, SHA512, XXHASH128, XXHASH3, XXHASH64]")

var errManyChecksums = s3err.InvalidRequest.WithMessage("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")

func invalidHeader(name string) error {
	return s3err.InvalidRequest.WithMessage("Value for %s header is invalid.", strings.ToLower(name))
}

// verifiedBody is the client's plaintext; its io.EOF says that everything that
// was promised of it holds: signature and length (by body), MD5 and checksum.
type verifiedBody struct {
	src     io.Reader   // the body, or a reader of it
	body    *sigv4.Body // knows the trailers
	promise *promise
	sum     hash.Hash
	also    hash.Hash // nil when nobody asks for it
	md5     hash.Hash // nil when nobody asks for it
	facts   envelope.Facts
	second  envelope.Checksum // of promise.also
	// end is what ended the body, io.EOF if all was well. It is atomic because
	// the upstream transport may still read when the store has answered.
	end atomic.Pointer[error]
}

func verify(src io.Reader, body *sigv4.Body, p *promise) *verifiedBody {
	v := &verifiedBody{src: src, body: body, promise: p, sum: algorithms[p.algorithm]()}
	if p.also != envelope.NoChecksum {
		v.also = algorithms[p.also]()
	}
	if p.md5 != nil || p.wantsMD5 {
		v.md5 = md5.New()
	}
	return v
}

func (v *verifiedBody) Read(b []byte) (int, error) {
	if end := v.end.Load(); end != nil {
		return 0, *end
	}
	n, err := v.src.Read(b)
	v.sum.Write(b[:n])
	if v.also != nil {
		v.also.Write(b[:n])
	}
	if v.md5 != nil {
		v.md5.Write(b[:n])
	}
	if err == io.EOF {
		if refused := v.finish(); refused != nil {
			err = refused
		}
	}
	if err != nil {
		v.end.Store(&err)
	}
	return n, err
}

// Refusal is the error that ended the body, nil if it ended well or has not ended.
func (v *verifiedBody) Refusal() error {
	if end := v.end.Load(); end != nil && *end != io.EOF {
		return *end
	}
	return nil
}

// Ended tells whether the body was read to its end, good or bad.
func (v *verifiedBody) Ended() bool { return v.end.Load() != nil }

// Verified tells whether the whole body was read and all that was promised of
// it holds.
func (v *verifiedBody) Verified() bool {
	end := v.end.Load()
	return end != nil && *end == io.EOF
}

// whole gives nil once the body is Verified, and else why it is not.
func (v *verifiedBody) whole() error {
	if refusal := v.Refusal(); refusal != nil {
		return refusal
	}
	if !v.Verified() {
		return errAnsweredEarly
	}
	return nil
}

var errAnsweredEarly = errors.New("the store answered before it had the whole body")

// Facts are the checksums of the whole body, valid once it is Verified.
func (v *verifiedBody) Facts() envelope.Facts { return v.facts }

func (v *verifiedBody) finish() error {
	if v.md5 != nil {
		got := v.md5.Sum(nil)
		if v.promise.md5 != nil && !bytes.Equal(got, v.promise.md5) {
			return s3err.BadDigest.With(
				s3err.Field{Name: "CalculatedDigest", Value: base64.StdEncoding.EncodeToString(got)},
				s3err.Field{Name: "ExpectedDigest", Value: hex.EncodeToString(v.promise.md5)})
		}
		v.facts.MD5 = got
	}
	want := v.promise.value
	if v.promise.trailer != "" {
		var err error
		want, err = base64.StdEncoding.DecodeString(v.body.Trailers()[v.promise.trailer])
		if err != nil || len(want) != v.promise.algorithm.Size() {
			return s3err.InvalidRequest.WithMessage("Value for %s trailing header is invalid.", v.promise.trailer)
		}
	}
	got := v.sum.Sum(nil)
	if want != nil && !bytes.Equal(got, want) {
		return s3err.BadDigest.WithMessage("The %s you specified did not match the calculated checksum.", v.promise.algorithm)
	}
	v.facts.Checksum = envelope.Checksum{Algorithm: v.promise.algorithm, Type: envelope.FullObject, Value: got}
	if v.also != nil {
		v.second = envelope.Checksum{Algorithm: v.promise.also, Type: envelope.FullObject, Value: v.also.Sum(nil)}
	}
	return nil
}

// checksumText is a checksum as S3 writes it; parts is the number behind a
// composite one.
func checksumText(c envelope.Checksum, parts int) string {
	value := base64.StdEncoding.EncodeToString(c.Value)
	if c.Type == envelope.Composite {
		value += "-" + strconv.Itoa(parts)
	}
	return value
}

// setChecksum puts a checksum into an answer's headers as S3 writes it; parts
// is the number behind a composite one.
func setChecksum(h http.Header, c envelope.Checksum, parts int) {
	if c.Algorithm == envelope.NoChecksum {
		return
	}
	h.Set(checksumHeader(c.Algorithm), checksumText(c, parts))
	if c.Type != envelope.NoType {
		h.Set("X-Amz-Checksum-Type", typeName(c.Type))
	}
}

// mirrored is the checksum that the store gets of the ciphertext: of the algorithm that
// the client named, so that the store's listings show that. A store need not know the
// newer ones behind a stream.
func mirrored(p *promise, held bool) *upstream.Checksum {
	switch {
	case !p.given():
		return nil
	case held:
	case p.algorithm == envelope.CRC32, p.algorithm == envelope.CRC32C, p.algorithm == envelope.CRC64NVME, p.algorithm == envelope.SHA1, p.algorithm == envelope.SHA256:
	default:
		return nil
	}
	return &upstream.Checksum{Header: checksumHeader(p.algorithm), Hash: algorithms[p.algorithm]()}
}
