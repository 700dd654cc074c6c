package random

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/minio/crc64nvme"
	"pgregory.net/rapid"

	"github.com/s3proxy/s3proxy/test/s3test"
)

// sequenceKeys are the keys that sequences choose from.
var sequenceKeys = []string{"a", "b.txt", "dir/a", "dir/b", "dir/sub/c", "dir/", "ü/日本語", "two  blanks + plus", "100%25%/x", "what?versionId=null&x#y",
	`"quoted" <&'>`, "~tilde*()!", "s3", "deep/er/and/deeper/", "\u00a0nbsp", "emoji-😀", "z|z;z,z", "back`tick", "eq=&amp;", "CAPS/and.dots..x"}

var bodySizes = []int{10, 1, 0, 1000, 65535, 65536, 65537, 131072, 200_000, 1 << 20, 1<<20 + 1, 1_500_000}

func choose[T any](q *sequence, what string, from ...T) T {
	return rapid.SampledFrom(from).Draw(q.t, what)
}

// rarely is true once in so many draws.
func (q *sequence) rarely(what string, in int) bool {
	return rapid.IntRange(0, in-1).Draw(q.t, what) == in-1
}

func (q *sequence) key() string { return choose(q, "key", q.keys...) }

// body returns a body that no call has sent before.
func (q *sequence) body(sizes ...int) []byte {
	q.number++
	return s3test.Content(q.number, choose(q, "size", sizes...))
}

// etagOf returns an ETag that the key has, or had, or another one.
func (q *sequence) etagOf(key string) token {
	all := q.etags[key]
	if n := len(all); n > 0 {
		switch choose(q, "etag", "now", "before", "none") {
		case "now":
			return all[n-1]
		case "before":
			return choose(q, "which", all...)
		}
	}
	return same(`"0123456789abcdef0123456789abcdef"`)
}

// wrote records the answers to a call that wrote an object.
func (q *sequence) wrote(key string, answers [sideCount]s3test.Answer, etag token) {
	if answers[atStore].Status != 200 {
		return
	}
	// If the same bytes are written twice, the store's ETags are equal, and the opaque ones differ.
	q.etags[key] = slices.DeleteFunc(q.etags[key], func(t token) bool { return t[atStore] == etag[atStore] })
	q.etags[key] = append(q.etags[key], etag)
	q.noteVersion(key, header(answers, "X-Amz-Version-Id"))
}

func (q *sequence) noteVersion(key string, version token) {
	if version[atStore] != "" {
		q.versions[key] = append(q.versions[key], version)
	}
}

// version sometimes adds a version to a query.
func (q *sequence) version(d *draft, rarity int) {
	if !q.rarely("version", rarity) {
		return
	}
	all := append([]token{same(nullValue)}, q.versions[d.key]...)
	if q.rarely("wrong version", 6) {
		all = []token{same("00000000-0000-4000-8000-000000000000"), same("")}
	}
	d.askOf("versionId", choose(q, "which version", all...))
}

// Times for conditions. The objects' own dates would differ by a second between the sides, and a
// future time is ignored by S3, but not by MinIO.
const (
	longAgo = "Mon, 02 Jan 2006 15:04:05 GMT"
	farOff  = "Wed, 01 Jan 2098 00:00:00 GMT"
)

func justNow() string { return time.Now().UTC().Format(http.TimeFormat) }

// conditions adds the conditions of a read; before is the prefix of their names.
func (q *sequence) conditions(d *draft, key, before string) {
	if q.rarely("if-match", 4) {
		d.headOf(before+"if-match", q.etagForms(key))
	}
	if q.rarely("if-none-match", 4) {
		d.headOf(before+"if-none-match", q.etagForms(key))
	}
	if q.rarely("if-modified-since", 8) {
		d.head(before+"if-modified-since", choose(q, "time", longAgo, justNow(), "nonsense"))
	}
	if q.rarely("if-unmodified-since", 8) {
		d.head(before+"if-unmodified-since", choose(q, "time", justNow(), longAgo, "nonsense"))
	}
}

// etagForms is an ETag of the key, sometimes without quotes, or "*".
func (q *sequence) etagForms(key string) token {
	etag := q.etagOf(key)
	switch choose(q, "form", "plain", "plain", "plain", "bare", "any") {
	case "bare":
		for i := range etag {
			etag[i] = strings.Trim(etag[i], `"`)
		}
	case "any":
		return same("*")
	}
	return etag
}

// writeConditions adds the conditions of a write.
func (q *sequence) writeConditions(d *draft, key string, rarity int) {
	if !q.rarely("condition", rarity) {
		return
	}
	switch choose(q, "which condition", "absent", "match", "any") {
	case "absent":
		d.head("if-none-match", "*")
	case "match":
		d.headOf("if-match", q.etagOf(key))
		d.gone = s3test.Call{Method: "HEAD", Path: q.path(atStore, key)}.Do(q.outer, q.at[atStore]).Status == 404
	case "any":
		d.head("if-match", "*")
	}
}

var contentHeaders = []struct {
	name   string
	values []string
}{
	{"content-type", []string{"text/plain", "application/json; charset=utf-8", "a/b"}},
	{"cache-control", []string{"no-cache", "max-age=60, public"}},
	{"content-disposition", []string{`attachment; filename="x y.txt"`}},
	{"content-encoding", []string{"gzip", "br"}},
	{"content-language", []string{"de", "en, fr"}},
	{"expires", []string{farOff}},
	{"x-amz-meta-a", []string{"1", "two words", `"quo,ted"`, "a=b; c"}},
	{"x-amz-meta-b-c", []string{"x", "=?UTF-8?B?w7w=?="}},
	{"x-amz-storage-class", []string{"STANDARD", "REDUCED_REDUNDANCY", "NONSENSE"}},
	{"x-amz-tagging", []string{"a=b", "a=b&c=d%20e", "a=&b=%C3%BC", "a=b&a=c", "=x"}},
	{"x-amz-website-redirect-location", []string{"/elsewhere"}},
}

// describe adds what an object is written with besides its bytes.
func (q *sequence) describe(d *draft, rarity int) {
	for _, h := range contentHeaders {
		if q.rarely(h.name, rarity) {
			d.head(h.name, choose(q, "value", h.values...))
		}
	}
	if q.kind == lockedBucket {
		if q.rarely("lock", 8) {
			d.head("x-amz-object-lock-mode", choose(q, "mode", "GOVERNANCE", "COMPLIANCE", "NONSENSE"))
			d.head("x-amz-object-lock-retain-until-date", choose(q, "until", "2097-01-01T00:00:00Z", "2098-01-01T00:00:00Z", "2001-01-01T00:00:00Z"))
		}
		if q.rarely("hold", 10) {
			d.head("x-amz-object-lock-legal-hold", choose(q, "hold", "ON", "OFF", "NONSENSE"))
		}
	}
}

// sums adds checksums of the body, sometimes a wrong one.
func (q *sequence) sums(d *draft) {
	of := d.body
	if q.rarely("wrong sum", 12) {
		of = append(bytes.Clone(of), 'x')
	}
	switch choose(q, "sum", "none", "none", "md5", "crc32", "sha256", "crc64nvme", "stream", "trailer", "unsigned trailer") {
	case "md5":
		sum := md5.Sum(of)
		d.head("content-md5", base64.StdEncoding.EncodeToString(sum[:]))
	case "crc32":
		d.head("x-amz-checksum-crc32", s3test.CRC32Of(of))
	case "sha256":
		sum := sha256.Sum256(of)
		d.head("x-amz-checksum-sha256", base64.StdEncoding.EncodeToString(sum[:]))
	case "crc64nvme":
		d.head("x-amz-checksum-crc64nvme", crc64Of(of))
	case "stream":
		d.stream = s3test.SignedStream
	case "trailer":
		d.stream = s3test.SignedStreamTrailer
	case "unsigned trailer":
		d.stream = s3test.UnsignedStreamTrailer
	}
}

func crc64Of(b []byte) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, crc64nvme.Checksum(b)))
}
