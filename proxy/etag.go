package proxy

import (
	"encoding/hex"
	"net/http"
	"strings"
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

// setETag gives an object's answer its ETag, and the header by which SDKs know
// that it is not an MD5 (as with S3's own SSE-KMS).
func setETag(h http.Header, upstream string) {
	if upstream == "" {
		return
	}
	h["ETag"] = []string{clientETag(upstream)}
	h.Set("X-Amz-Server-Side-Encryption", "aws:kms")
}
