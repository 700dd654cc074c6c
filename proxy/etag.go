package proxy

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"

	"github.com/s3proxy/s3proxy/envelope"
)

// In ETag mode `opaque` a client sees the upstream's ETag. One without a dash
// would be taken for the MD5 of the plaintext (rclone, the Java SDKs), so it
// gets a suffix that no real multipart upload ends in.
const opaqueSuffix = "-0"

// clientETag is the ETag that a client is shown for the upstream's.
func clientETag(upstream string) string {
	bare, quoted := strings.CutPrefix(upstream, `"`)
	if quoted {
		bare = strings.TrimSuffix(bare, `"`)
	}
	if bare == "" || strings.Contains(bare, "-") {
		return upstream
	}
	if quoted {
		return `"` + bare + opaqueSuffix + `"`
	}
	return bare + opaqueSuffix
}

// show is the ETag that clients see of an object or part: in mode md5 the MD5 of its
// plaintext, where that is known, in quotes; else what clientETag makes of the
// upstream's.
func (m ETagMode) show(upstream string, md5 []byte) string {
	if m == ETagMD5 && md5 != nil {
		return `"` + hex.EncodeToString(md5) + `"`
	}
	return clientETag(upstream)
}

// upstreamETags translates the list of ETags in a condition: If-Match,
// If-None-Match. "*" and ETags that the store made itself pass unchanged.
func upstreamETags(condition string) string {
	tags := strings.Split(condition, ",")
	for i, tag := range tags {
		trimmed := strings.TrimSpace(tag)
		if bare, ok := strings.CutSuffix(trimmed, opaqueSuffix+`"`); ok {
			trimmed = bare + `"`
		} else {
			trimmed = strings.TrimSuffix(trimmed, opaqueSuffix)
		}
		tags[i] = trimmed
	}
	return strings.Join(tags, ", ")
}

// translateConditions rewrites the conditions among headers for the store.
func translateConditions(h http.Header) {
	for _, name := range []string{"If-Match", "If-None-Match"} {
		for i, v := range h.Values(name) {
			h[name] = append([]string(nil), h[name]...)
			h[name][i] = upstreamETags(v)
		}
	}
}

// multipartMD5 is S3's ETag of a multipart object: the MD5 of the parts' MD5s, and
// their number. "" where one is not known.
func multipartMD5(parts []envelope.Part) string {
	sum := md5.New()
	for _, p := range parts {
		if len(p.MD5) == 0 {
			return ""
		}
		sum.Write(p.MD5)
	}
	return fmt.Sprintf(`"%x-%d"`, sum.Sum(nil), len(parts))
}

// markNoMD5 tells SDKs that an ETag is not an MD5, as S3's own SSE-KMS does.
func (x *exchange) markNoMD5(h http.Header) {
	if x.ETag != ETagMD5 {
		h.Set("X-Amz-Server-Side-Encryption", "aws:kms")
	}
}

// setETag gives an object's answer its ETag, and the header by which SDKs know
// that it is not an MD5 (as with S3's own SSE-KMS).
func setETag(h http.Header, upstream string) {
	if upstream == "" {
		return
	}
	h["ETag"] = []string{clientETag(upstream)}
	h.Set("X-Amz-Server-Side-Encryption", "aws:kms")
}
