package proxy

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// byteRange is one range of a Range header. first -1: the last `last` bytes;
// last -1: to the end.
type byteRange struct{ first, last int64 }

// parseRange reads a Range header. As in S3, anything but exactly one valid byte range is ignored
// (RFC 9110, section 14.2).
func parseRange(header string) (byteRange, bool) {
	spec, ok := strings.CutPrefix(header, "bytes=")
	if !ok {
		return byteRange{}, false
	}
	from, to, ok := strings.Cut(spec, "-")
	if !ok {
		return byteRange{}, false
	}
	first, last := int64(-1), int64(-1)
	var err error
	if from != "" {
		if first, err = parseOffset(from); err != nil {
			return byteRange{}, false
		}
	}
	if to != "" {
		if last, err = parseOffset(to); err != nil {
			return byteRange{}, false
		}
	}
	if from == "" && to == "" || from != "" && to != "" && last < first {
		return byteRange{}, false
	}
	return byteRange{first, last}, true
}

// parseOffset takes digits only: ParseInt alone would take a sign.
func parseOffset(s string) (int64, error) {
	if s[0] < '0' || s[0] > '9' {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseInt(s, 10, 64)
}

// of resolves the range for an object of size bytes; InvalidRange when no byte
// of the object is in it.
func (b byteRange) of(size int64) (offset, length int64, err error) {
	switch {
	case b.first < 0:
		length = min(b.last, size)
		offset = size - length
	case b.first < size:
		offset, length = b.first, size-b.first
		if b.last >= 0 && b.last < size {
			length = b.last - b.first + 1
		}
	}
	if length == 0 {
		return 0, 0, s3err.InvalidRange.With(
			s3err.Field{Name: "RangeRequested", Value: b.String()}, s3err.Field{Name: "ActualObjectSize", Value: fmt.Sprint(size)})
	}
	return offset, length, nil
}

func (b byteRange) String() string {
	switch {
	case b.first < 0:
		return fmt.Sprintf("bytes=-%d", b.last)
	case b.last < 0:
		return fmt.Sprintf("bytes=%d-", b.first)
	}
	return fmt.Sprintf("bytes=%d-%d", b.first, b.last)
}

// guessRange is the first and the last byte of the ciphertext that holds a plaintext range if every
// segment before it is full; to -1: to the end.
func guessRange(r byteRange) (from, to int64) {
	const stride = envelope.SegmentSize + envelope.SegmentOverhead
	from = r.first / envelope.SegmentSize * stride
	if r.last < 0 || r.last/envelope.SegmentSize > envelope.MaxObjectSize/envelope.SegmentSize {
		return from, -1
	}
	return from, (r.last/envelope.SegmentSize+1)*stride - 1
}

// dropRange ignores the range where it has no meaning: if If-Range does not match the object, so
// that the client holds the beginning of another one (RFC 9110, section 13.1.5), and for a suffix
// of an empty object.
func (rd *reading) dropRange(s *object.Stored) error {
	stale := false
	if rd.ranged && rd.ifRange != "" && rd.ifRange != s.Header.Get("Last-Modified") {
		tag, err := rd.ObjectETag(rd.r.Context(), s)
		if err != nil {
			return err
		}
		stale = rd.ifRange != tag.Shown && rd.ifRange != tag.Upstream && rd.ifRange != object.ClientETag(tag.Upstream)
	}
	if stale || s.Size == 0 && rd.rng.first < 0 && rd.rng.last > 0 {
		rd.ranged = false
	}
	return nil
}
