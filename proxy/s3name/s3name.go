package s3name

import (
	"encoding/base64"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What is wrong with a name. Errors of this package wrap one of them, and say no more
// of the name than its kind: names may be long and hostile.
var (
	ErrBucket    = errors.New("no name of a bucket")
	ErrKey       = errors.New("no key of an object")
	ErrKeyLength = fmt.Errorf("%w: it is longer than %d bytes", ErrKey, MaxKey)
	ErrUploadID  = errors.New("no id of an upload")
	ErrVersionID = errors.New("no id of a version")
	ErrQuery     = errors.New("a prefix or marker that leads out of its bucket")
)

// MaxKey is S3's limit, in bytes of UTF-8.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
const MaxKey = 1024

// maxID bounds the ids that stores make: AWS's have up to 128 bytes, with room for others.
const maxID = 1024

// Bucket is the name of a bucket; the zero value names none.
type Bucket struct{ name string }

// bucketForm is the widest form that S3 has ever allowed; the store judges the rest.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
var bucketForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{2,254}$`)

// ParseBucket checks the name of a bucket; ErrBucket. `minio` is none anywhere: MinIO's
// admin API is on the port of its S3, below that name, and takes the signatures of S3.
func ParseBucket(name string) (Bucket, error) {
	if !bucketForm.MatchString(name) || strings.EqualFold(name, "minio") {
		return Bucket{}, ErrBucket
	}
	return Bucket{name}, nil
}

// Ambiguous tells whether the name may be a bucket's, but is that of an API on some store:
// Ceph's RADOS gateway has its admin, Swift and sign-in APIs on the port of its S3. Which
// it is, only who configures the proxy can say.
// https://docs.ceph.com/en/latest/radosgw/adminops/
func (b Bucket) Ambiguous() bool {
	switch strings.ToLower(b.name) {
	case "admin", "swift", "auth":
		return true
	}
	return false
}

// String is the name, "" for none.
func (b Bucket) String() string { return b.name }

// MarshalText is for logs and documents.
func (b Bucket) MarshalText() ([]byte, error) { return []byte(b.name), nil }

// Key is the key of an object; the zero value names none, but the bucket itself.
type Key struct{ key string }

// ParseKey checks a key; ErrKey. It stays inside its bucket, and out of the folders that
// stores keep there for themselves, under every spelling that some store folds into
// another. It may be one of the proxy's own objects: whose it is, is for the caller to
// check.
func ParseKey(key string) (Key, error) {
	switch {
	case key == "" || !utf8.ValidString(key) || strings.ContainsRune(key, 0):
		return Key{}, ErrKey
	case len(key) > MaxKey:
		return Key{}, ErrKeyLength
	case leaves(key):
		return Key{}, fmt.Errorf("%w: it leads out of its bucket", ErrKey)
	}
	for _, folder := range storeFolders {
		if Below(key, folder) {
			return Key{}, fmt.Errorf("%w: %s is the store's own", ErrKey, folder)
		}
	}
	return Key{key}, nil
}

// String is the key, "" for none.
func (k Key) String() string { return k.key }

// MarshalText is for logs and documents.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.key), nil }

// storeFolders are where stores keep files of their own inside a bucket: versitygw's
// posix backend has the parts of uploads in .sgwtmp/. MinIO's .minio.sys is beside the
// buckets, and no name of one.
var storeFolders = []string{".sgwtmp/"}

// fold gives a key as a store may that takes it for a path: `a//b`, `a/./b`, `a/x/../b`
// and `a\b` are `a/b` there.
func fold(key string) string { return path.Clean("/" + strings.ReplaceAll(key, `\`, "/"))[1:] }

// Folds tells whether a store that takes a key for a path may keep it under another one:
// it has an empty element, `.` or `..`.
func (k Key) Folds() bool {
	return fold(k.key) != strings.TrimSuffix(k.key, "/")
}

// Below tells whether a key lies in a folder, which ends in "/", or is that folder's own
// name, under every spelling that some store folds into that. Upper and lower case are
// one, as on some file systems.
func Below(key, folder string) bool { return !beginsOtherwise(key, folder) && below(key, folder) }

// beginsOtherwise tells of most keys at a glance that they are in another folder: no store folds
// their first element, and it begins with another letter. Every key of a listing is asked.
func beginsOtherwise(key, folder string) bool {
	if key == "" || strings.IndexByte(`/.\`, key[0]) >= 0 || strings.Contains(key, "..") {
		return false
	}
	return key[0] < utf8.RuneSelf && folder[0] < utf8.RuneSelf && unicode.ToLower(rune(key[0])) != unicode.ToLower(rune(folder[0]))
}

func below(key, folder string) bool {
	// By elements: letters that fold into each other may differ in their bytes.
	depth := strings.Count(folder, "/")
	elements := strings.SplitN(fold(key), "/", depth+1)
	return strings.EqualFold(strings.Join(elements[:min(len(elements), depth)], "/")+"/", folder)
}

// leaves tells whether a store that folds `.` and `..` would take the key for the bucket
// itself or for something outside of it.
func leaves(key string) bool {
	inside, ok := depth(key)
	return !ok || inside == 0 && strings.Contains(key, ".")
}

// depth counts how many folders below its bucket a folded key ends; ok is false when it
// leaves the bucket on the way.
func depth(key string) (n int, ok bool) {
	for element := range strings.SplitSeq(key, "/") {
		switch element {
		case "", ".":
		case "..":
			if n--; n < 0 {
				return 0, false
			}
		default:
			n++
		}
	}
	return n, true
}

// UploadID is the id of a multipart upload, which the store has made; the zero value is
// none.
type UploadID struct{ id string }

// NoUpload is an id that no store has made, to hear what a store says of an upload that is
// not there.
func NoUpload() UploadID { return UploadID{"s3proxy-may-this-client-write"} }

// ParseUploadID checks the id of an upload; ErrUploadID.
func ParseUploadID(id string) (UploadID, error) {
	if !isUploadID(id) {
		return UploadID{}, ErrUploadID
	}
	return UploadID{id}, nil
}

// String is the id, "" for none.
func (u UploadID) String() string { return u.id }

// MarshalText is for logs and documents.
func (u UploadID) MarshalText() ([]byte, error) { return []byte(u.id), nil }

// VersionID is the id of a version of an object; the zero value is the current one.
type VersionID struct{ id string }

// ParseVersionID checks the id of a version; ErrVersionID.
func ParseVersionID(id string) (VersionID, error) {
	if !isID(id) {
		return VersionID{}, ErrVersionID
	}
	return VersionID{id}, nil
}

// String is the id, "" for none.
func (v VersionID) String() string { return v.id }

// MarshalText is for logs and documents.
func (v VersionID) MarshalText() ([]byte, error) { return []byte(v.id), nil }

// isID tells whether a store may have made an id. The bytes are those that the stores'
// ids are made of; AWS's may hold "/", and so it is elements that must be none of a path's.
func isID(id string) bool {
	if id == "" || len(id) > maxID || strings.ContainsFunc(id, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !letter && !strings.ContainsRune("-._~+=:/", r)
	}) {
		return false
	}
	for element := range strings.SplitSeq(id, "/") {
		if element == "" || element == "." || element == ".." {
			return false
		}
	}
	return true
}

func isUploadID(id string) bool { return isID(id) && !hidesPath(id) }

// hidesPath tells whether an id is a path once it is decoded. MinIO's ids of uploads are
// Base64, and what follows the first dot in them is a folder's name: with
// `d.../../../bucket/key` in one, a client was in another bucket. Of random ids, as AWS
// makes them, about one in four million is taken for a path: of an upload that is begun
// again, but a version would be lost, and so the ids of versions are not asked. (MinIO's
// are UUIDs.)
func hidesPath(id string) bool {
	id = strings.TrimRight(id, "=")
	for _, encoding := range []*base64.Encoding{base64.RawURLEncoding, base64.RawStdEncoding} {
		decoded, err := encoding.DecodeString(id)
		if err != nil {
			continue
		}
		text := strings.ReplaceAll(string(decoded), `\`, "/")
		_, behind, _ := strings.Cut(text, ".")
		for _, path := range []string{text, behind} {
			if strings.HasPrefix(path, "../") || strings.Contains(path, "/../") || strings.HasSuffix(path, "/..") || path == ".." {
				return true
			}
		}
	}
	return false
}

// Source is the object, or the version of one, that a store shall copy.
type Source struct {
	Bucket  Bucket
	Key     Key
	Version VersionID
}
