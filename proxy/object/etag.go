package object

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"

	"github.com/s3proxy/s3proxy/envelope"
)

// OpaqueSuffix ends ETags in ETag mode `opaque`, in which clients see the upstream's ETag. An ETag
// without a dash would be taken for the MD5 of the plaintext (rclone, the Java SDKs). No real
// multipart upload ends in this suffix.
const OpaqueSuffix = "-0"

// ClientETag is the ETag that a client is shown for the upstream's.
func ClientETag(upstream string) string {
	bare, quoted := strings.CutPrefix(upstream, `"`)
	if quoted {
		bare = strings.TrimSuffix(bare, `"`)
	}
	if bare == "" || strings.Contains(bare, "-") {
		return upstream
	}
	if quoted {
		return `"` + bare + OpaqueSuffix + `"`
	}
	return bare + OpaqueSuffix
}

// Show is the ETag that clients see of an object or part: in mode md5 the quoted MD5 of its
// plaintext, if that is known; otherwise the ClientETag of the upstream's.
func (m ETagMode) Show(upstream string, md5 []byte) string {
	if m == ETagMD5 && md5 != nil {
		return `"` + hex.EncodeToString(md5) + `"`
	}
	return ClientETag(upstream)
}

// UpstreamETags translates the list of ETags in an If-Match or If-None-Match. "*", and ETags made
// by the store itself, pass unchanged.
func UpstreamETags(condition string) string {
	tags := strings.Split(condition, ",")
	for i, tag := range tags {
		trimmed := strings.TrimSpace(tag)
		if bare, ok := strings.CutSuffix(trimmed, OpaqueSuffix+`"`); ok {
			trimmed = bare + `"`
		} else {
			trimmed = strings.TrimSuffix(trimmed, OpaqueSuffix)
		}
		tags[i] = trimmed
	}
	return strings.Join(tags, ", ")
}

// TranslateConditions rewrites the conditions in h for the store.
func TranslateConditions(h http.Header) {
	for _, name := range []string{"If-Match", "If-None-Match"} {
		for i, v := range h.Values(name) {
			h[name] = append([]string(nil), h[name]...)
			h[name][i] = UpstreamETags(v)
		}
	}
}

// MultipartMD5 is S3's ETag of a multipart object: the MD5 of the parts' MD5s, and their number. It
// is "" if one of the MD5s is not known.
func MultipartMD5(parts []envelope.Part) string {
	sum := md5.New()
	for _, p := range parts {
		if len(p.MD5) == 0 {
			return ""
		}
		sum.Write(p.MD5)
	}
	return fmt.Sprintf(`"%x-%d"`, sum.Sum(nil), len(parts))
}

// ETag is the ETag of one state of an object.
type ETag struct {
	Shown    string // what clients see
	Upstream string // the store's own
	// Plain says that Shown is the ETag that S3 would have without encryption: an SDK may compare
	// it with an MD5 of its own.
	Plain bool
}

// OpaqueETag is the ETag of an object of which only the store's ETag is known.
func OpaqueETag(upstream string) ETag {
	return ETag{Shown: ClientETag(upstream), Upstream: upstream}
}

// IsIn reports whether a list of ETags, as in If-Match, contains this one. Both forms count: the
// ETag that clients see, and the one that they would see in mode opaque, in case the bucket's mode
// was switched. A weak ETag never matches (RFC 9110, section 13.1.1).
func (t ETag) IsIn(list string) bool {
	for tag := range strings.SplitSeq(list, ",") {
		if tag = strings.TrimSpace(tag); tag == "*" || BareETag(tag) == BareETag(t.Shown) || BareETag(UpstreamETags(tag)) == BareETag(t.Upstream) {
			return true
		}
	}
	return false
}

// IsInWeakly is IsIn for If-None-Match, for which `W/` makes no difference (RFC 9110, section
// 13.1.2).
func (t ETag) IsInWeakly(list string) bool {
	tags := strings.Split(list, ",")
	for i, tag := range tags {
		tags[i] = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
	}
	return t.IsIn(strings.Join(tags, ","))
}

func BareETag(tag string) string { return strings.Trim(tag, `"`) }

// NamesETag reports whether a condition names an ETag, as opposed to "*".
func NamesETag(condition string) bool {
	return strings.Trim(condition, "* ,\t") != ""
}
