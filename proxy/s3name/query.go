package s3name

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Ids have fields of their own in upstream.Request: what names a place is not hidden
// among other parameters.
const (
	uploadIDQuery  = "uploadId"
	versionIDQuery = "versionId"
)

// cursors are the query parameters by which listings name a place, and what each names.
var cursors = map[string]func(string) bool{
	"prefix": staysInside, "marker": staysInside, "start-after": staysInside, "key-marker": staysInside,
	"upload-id-marker": isUploadID, "version-id-marker": isID, "continuation-token": isToken,
}

// CheckQuery refuses parameters of a listing that lead out of the bucket (ErrQuery). A
// listing that begins with `../` has no entry in S3.
func CheckQuery(q url.Values) error {
	for name, legal := range cursors {
		for _, value := range q[name] {
			if value != "" && !legal(value) {
				return fmt.Errorf("%w: %s", ErrQuery, name)
			}
		}
	}
	return nil
}

// IsID tells whether a query parameter is the id of an upload or a version.
func IsID(name string) bool {
	return strings.EqualFold(name, uploadIDQuery) || strings.EqualFold(name, versionIDQuery)
}

// TakeIDs takes the ids out of a client's query: ErrUploadID, ErrVersionID. One that is
// not given is zero, and so is an empty version id, which SDKs send for none.
func TakeIDs(q url.Values) (upload UploadID, version VersionID, err error) {
	if q.Has(uploadIDQuery) {
		if upload, err = ParseUploadID(q.Get(uploadIDQuery)); err != nil {
			return upload, version, err
		}
	}
	if q.Get(versionIDQuery) != "" {
		if version, err = ParseVersionID(q.Get(versionIDQuery)); err != nil {
			return upload, version, err
		}
	}
	return upload, version, nil
}

// isToken tells whether a store may have made a token for the next page. MinIO's is a key
// in Base64, with the name of a cached listing behind it, which is a file there.
func isToken(token string) bool {
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		decoded, err := encoding.DecodeString(token)
		if err != nil || !utf8.Valid(decoded) {
			continue
		}
		key, cached, _ := strings.Cut(string(decoded), "[minio_cache:")
		if !staysInside(key) || strings.ContainsAny(cached, `/\`) {
			return false
		}
	}
	return staysInside(token)
}

// staysInside tells whether a beginning of keys, or a key behind which a listing goes on,
// climbs out of its bucket nowhere. Its last element is only the beginning of one: `..`
// begins `..a`.
func staysInside(text string) bool {
	_, ok := depth(text[:strings.LastIndex(text, "/")+1])
	return ok && utf8.ValidString(text) && !strings.ContainsRune(text, 0)
}
