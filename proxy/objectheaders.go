package proxy

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/checksum"
	"github.com/s3proxy/s3proxy/proxy/object"
)

// setFacts keeps what sendHeader tells of the object's checksum and parts.
func (rd *reading) setFacts(f envelope.Facts, parts int) { rd.facts, rd.parts = f, parts }

// partChecksum is the checksum of the part that was asked for, if the object's checksum is made of
// its parts'. For other objects S3 shows none.
func (rd *reading) partChecksum() envelope.Checksum {
	if rd.facts.Checksum.Type != envelope.Composite {
		return envelope.Checksum{}
	}
	for _, p := range rd.table {
		if p.Number == rd.part || rd.part == 1 {
			return envelope.Checksum{Algorithm: p.Checksum.Algorithm, Value: p.Checksum.Value}
		}
	}
	return envelope.Checksum{}
}

// setTag keeps the object's ETag, and tells whether it is known.
func (rd *reading) setTag(s *object.Stored, facts envelope.Facts, t *envelope.Trailer) (known bool) {
	rd.tag, known = rd.TagOf(s, facts, t)
	return known
}

// setTagOf keeps the ETag of an object whose trailer was read.
func (rd *reading) setTagOf(s *object.Stored, facts envelope.Facts, t *envelope.Trailer) {
	if !rd.setTag(s, facts, nil) {
		rd.setTag(s, t.Facts, t)
	}
}

// setChecksumHeaders adds the checksum, if it was asked for, and the number of parts to the
// answer. A range gets no checksum, because there is only one of the whole object or of a part.
func (rd *reading) setChecksumHeaders(h http.Header) {
	switch {
	case !rd.checksums || rd.ranged:
	case rd.part > 0 && rd.parts > 0:
		checksum.SetHeader(h, rd.partChecksum(), 0)
	default:
		checksum.SetHeader(h, rd.facts.Checksum, rd.parts)
	}
	if rd.part > 0 && rd.parts > 0 {
		h.Set("X-Amz-Mp-Parts-Count", strconv.Itoa(rd.parts))
	}
}

// sendHeader begins a successful answer.
func (rd *reading) sendHeader(s *object.Stored, offset, length int64) {
	rd.passHeaders(s.Header)
	h := rd.w.Header()
	rd.plaintext, rd.legacy = s.Meta == nil && s.Legacy == nil, s.Legacy != nil
	if s.Meta != nil {
		rd.kek = s.Meta.KEK
		rd.setETag(h, rd.tag, s.Header)
	} else if rd.tag.Shown != "" {
		h["ETag"] = []string{rd.tag.Shown}
		tellStores(h, rd.tag.Plain, s.Header)
	}
	rd.setChecksumHeaders(h)
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Length", strconv.FormatInt(length, 10))
	status := http.StatusOK
	if rd.ranged || rd.part > 0 && s.Size > 0 {
		status = http.StatusPartialContent
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", offset, offset+length-1, s.Size))
	}
	rd.w.WriteHeader(status)
}
