package checksum

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"runtime"
	"sync/atomic"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// Reader is a client's plaintext. Its io.EOF says that everything that was declared about it holds:
// length and signature, which the body itself checks, MD5 and checksum.
type Reader struct {
	src      io.Reader // the body, or a reader of it
	body     trailered // nil where nothing comes behind the body
	Declared *Declared
	sum      hash.Hash
	also     hash.Hash // nil when nobody asks for it
	md5      hash.Hash // nil when nobody asks for it
	hashed   int       // bytes of which the MD5 was computed before it went on beside
	facts    envelope.Facts
	second   envelope.Checksum // of Declared.Also
	// end is what ended the body, io.EOF if all was well. It is atomic because
	// the upstream transport may still read when the store has answered.
	end atomic.Pointer[error]
}

// trailered is a body with headers behind it; names are in lower case.
type trailered interface{ Trailers() map[string]string }

// NewReader reads src, which is body or a reader of it, and checks what d declares. body is
// nil where no checksum comes in a trailer.
func NewReader(src io.Reader, body trailered, d *Declared) *Reader {
	v := &Reader{src: src, body: body, Declared: d, sum: algorithms[d.Algorithm]()}
	if d.Also != envelope.NoChecksum {
		v.also = algorithms[d.Also]()
	}
	if d.MD5 != nil || d.WantsMD5 {
		v.md5 = md5.New()
	}
	return v
}

// Read implements io.Reader. The error for a broken declaration is an *s3err.Error.
func (v *Reader) Read(b []byte) (int, error) {
	if end := v.end.Load(); end != nil {
		return 0, *end
	}
	n, err := v.src.Read(b)
	v.sum.Write(b[:n])
	if v.also != nil {
		v.also.Write(b[:n])
	}
	if v.md5 != nil {
		v.hashMD5(b[:n])
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

// hashMD5 goes on beside the body when that is large and there is a second core.
func (v *Reader) hashMD5(b []byte) {
	if _, begun := v.md5.(*beside); !begun {
		if v.hashed += len(b); v.hashed > besideFrom && runtime.GOMAXPROCS(0) > 1 {
			v.md5 = newBeside(v.md5)
		}
	}
	v.md5.Write(b)
}

// Refusal is the error that ended the body, nil if it ended well or has not ended.
func (v *Reader) Refusal() error {
	if end := v.end.Load(); end != nil && *end != io.EOF {
		return *end
	}
	return nil
}

// Ended tells whether the body was read to its end, good or bad.
func (v *Reader) Ended() bool { return v.end.Load() != nil }

// Verified tells whether the whole body was read and all that was declared of it
// holds.
func (v *Reader) Verified() bool {
	end := v.end.Load()
	return end != nil && *end == io.EOF
}

// Whole gives nil once the body is Verified, and else why it is not.
func (v *Reader) Whole() error {
	if refusal := v.Refusal(); refusal != nil {
		return refusal
	}
	if !v.Verified() {
		return ErrAnsweredEarly
	}
	return nil
}

var ErrAnsweredEarly = errors.New("the store answered before it had the whole body")

// Facts are the checksums of the whole body, valid once it is Verified.
func (v *Reader) Facts() envelope.Facts { return v.facts }

// PartFacts are what a part's record keeps of a body, once it is Verified.
func (v *Reader) PartFacts() envelope.Facts {
	f := v.facts
	if v.also != nil {
		f.Checksum = v.second
	}
	return f
}

func (v *Reader) finish() error {
	if v.md5 != nil {
		got := v.md5.Sum(nil)
		if v.Declared.MD5 != nil && !bytes.Equal(got, v.Declared.MD5) {
			return s3err.BadDigest.With(
				s3err.Field{Name: "CalculatedDigest", Value: base64.StdEncoding.EncodeToString(got)},
				s3err.Field{Name: "ExpectedDigest", Value: hex.EncodeToString(v.Declared.MD5)})
		}
		v.facts.MD5 = got
	}
	want := v.Declared.Value
	if v.Declared.trailer != "" {
		var err error
		want, err = base64.StdEncoding.DecodeString(v.body.Trailers()[v.Declared.trailer])
		if err != nil || len(want) != v.Declared.Algorithm.Size() {
			return s3err.InvalidRequest.WithMessage("Value for %s trailing header is invalid.", v.Declared.trailer)
		}
	}
	got := v.sum.Sum(nil)
	if want != nil && !bytes.Equal(got, want) {
		return s3err.BadDigest.WithMessage("The %s you specified did not match the calculated checksum.", v.Declared.Algorithm)
	}
	v.facts.Checksum = envelope.Checksum{Algorithm: v.Declared.Algorithm, Type: envelope.FullObject, Value: got}
	if v.also != nil {
		v.second = envelope.Checksum{Algorithm: v.Declared.Also, Type: envelope.FullObject, Value: v.also.Sum(nil)}
	}
	return nil
}
