package multipart

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/object"
)

// The ETag of a part that clients see never comes from the store: a store may give two sendings of
// a part the same ETag, and a Complete that names it would not say which of them it means.

// PartETag is the ETag of a part that clients see: its MD5 if the upload's ETags are MD5s,
// otherwise one derived from the part's id.
func (u *Upload) PartETag(p envelope.Part) string {
	mode := object.ETagOpaque
	if u.options.MD5 {
		mode = object.ETagMD5
	}
	return mode.Show(`"`+idETag(p.ID)+`"`, p.MD5)
}

// idETag is as unique as the id of a part, which is drawn for each sending: 32 digits of the id's
// SHA-256.
func idETag(id envelope.PartID) string {
	sum := sha256.Sum256(id[:])
	return hex.EncodeToString(sum[:16])
}

// isETagOf reports whether a client names this sending of a part in mode opaque: by the ETag that
// it was shown, or without the suffix.
func isETagOf(etag string, id envelope.PartID) bool {
	bare := object.BareETag(etag)
	return bare == idETag(id) || bare == idETag(id)+object.OpaqueSuffix
}

// isMD5Of is isETagOf for mode md5. There, sendings of the same bytes are equal.
func isMD5Of(etag string, p envelope.Part) bool {
	return p.MD5 != nil && object.BareETag(etag) == hex.EncodeToString(p.MD5)
}
