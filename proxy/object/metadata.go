package object

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/legacy"
)

// MetaHeaderPrefix begins the headers with the proxy's own metadata in the store.
const MetaHeaderPrefix = "X-Amz-Meta-S3proxy-"

// IsOwnMetadata reports whether a header of the store is metadata of s3proxy, or of the older
// s3proxy.
func IsOwnMetadata(name string) bool {
	return strings.HasPrefix(name, MetaHeaderPrefix) || name == legacy.HeaderName
}

// MetaPrefix begins the names of user metadata, which are lower case in S3. net/http would spell
// header names its own way, and a store that keeps the spelling would return "X-Amz-Meta-Color" for
// "x-amz-meta-color".
const MetaPrefix = "x-amz-meta-"

func MetaName(header string) string {
	if strings.HasPrefix(header, "X-Amz-Meta-") {
		return strings.ToLower(header)
	}
	return header
}

// TrimChunkedEncoding removes the transport coding aws-chunked from the object's own
// Content-Encoding, where SDKs put it.
func TrimChunkedEncoding(h http.Header) {
	var kept []string
	for _, v := range h.Values("Content-Encoding") {
		for _, coding := range strings.Split(v, ",") {
			if coding = strings.TrimSpace(coding); coding != "" && !strings.EqualFold(coding, "aws-chunked") {
				kept = append(kept, coding)
			}
		}
	}
	h.Del("Content-Encoding")
	if len(kept) > 0 {
		h.Set("Content-Encoding", strings.Join(kept, ","))
	}
}

// EncodeMetadata returns the metadata of an object of size plaintext bytes (0 for an upload, whose
// size is not known yet), with the facts that are known before its body. If a long checksum and a
// long name of the KEK leave no room for the facts, only the trailer has them (docs/FORMAT.md).
func EncodeMetadata(dek *envelope.DEK, meta *envelope.Metadata, size int64, known envelope.Facts) (map[string]string, error) {
	var fields map[string]string
	var err error
	for _, facts := range []envelope.Facts{known, {}} {
		if meta.Facts, err = dek.SealFacts(meta.Kind, size, facts); err != nil {
			return nil, err
		}
		if fields, err = meta.Encode(); err == nil {
			return fields, nil
		}
	}
	return nil, err
}

// MetadataFields are the s3proxy-* fields among a store's headers, with lower-case names.
func MetadataFields(h http.Header) (map[string]string, error) {
	fields := map[string]string{}
	for name, values := range h {
		if strings.HasPrefix(name, MetaHeaderPrefix) {
			if len(values) != 1 {
				return nil, fmt.Errorf("%w: %s is given more than once", envelope.ErrMetadata, name)
			}
			fields[strings.ToLower(strings.TrimPrefix(name, "X-Amz-Meta-"))] = values[0]
		}
	}
	return fields, nil
}

// KindOfPut is the kind of an object written with one PUT.
func KindOfPut(key string, size int64) envelope.Kind {
	if size == 0 && strings.HasSuffix(key, "/") {
		return envelope.KindEmpty // posix-like stores refuse a body under such a key
	}
	return envelope.KindSingle
}

// Locked reports whether an object has a legal hold or a retention.
func (s *Stored) Locked() bool {
	return s.Retained() || strings.EqualFold(s.Header.Get("X-Amz-Object-Lock-Legal-Hold"), "ON")
}

// Retained reports whether an object was, by the store's clock, still under retention when the
// store answered.
func (s *Stored) Retained() bool {
	if s.Header.Get("X-Amz-Object-Lock-Mode") == "" {
		return false
	}
	until, err := time.Parse(time.RFC3339, s.Header.Get("X-Amz-Object-Lock-Retain-Until-Date"))
	if err != nil {
		return true // the store may understand its own date format
	}
	now, err := http.ParseTime(s.Header.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return until.After(now)
}
