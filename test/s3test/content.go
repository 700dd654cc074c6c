package s3test

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
)

// Content returns n incompressible bytes, the same for the same seed.
func Content(seed uint64, n int) []byte {
	b := make([]byte, n)
	if _, err := io.ReadFull(Generator(seed), b); err != nil {
		panic(err)
	}
	return b
}

// Generator returns an endless stream, the same for the same seed.
func Generator(seed uint64) io.Reader {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return rand.NewChaCha8(key)
}

// SameBytes says where two contents differ; nil if they do not.
func SameBytes(got, want []byte) error {
	if bytes.Equal(got, want) {
		return nil
	}
	at := 0
	for at < len(got) && at < len(want) && got[at] == want[at] {
		at++
	}
	return fmt.Errorf("%d bytes, want %d; the first difference is at %d", len(got), len(want), at)
}

// XMLText escapes a string for XML.
func XMLText(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s))
	return b.String()
}

// MD5Of is the Content-MD5 of a body.
func MD5Of(b []byte) string {
	sum := md5.Sum(b)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// MD5ETag is S3's ETag for an object written with one PUT.
func MD5ETag(body []byte) string { return fmt.Sprintf(`"%x"`, md5.Sum(body)) }

// Marker is plaintext that tests search for where no plaintext may be.
const Marker = "MARKER-that-must-not-reach-the-store-7f3a9c"

const MiB = 1 << 20

// Flipped returns a copy with one bit changed.
func Flipped(b []byte, at int) []byte {
	c := slices.Clone(b)
	c[at] ^= 1
	return c
}

// OddKeys are keys that S3 allows and that are easy to get wrong.
var OddKeys = []string{
	"with space", " leading", "trailing ", "a+b", "a%b", "a%20b", "a%2Fb", "%", "%%", "100%25",
	"?query=1", "a&b=c", "#fragment", "a=b;c", "semi;colon", "a,b", "quote'\"", "back\\slash", "<tag>&amp;", "[b]{c}|d^e`f~",
	"ключ/日本語/é", "e\u0301", "emoji-🔑", "\u00a0nbsp",
	"a//b", "//", "a///", "/leading", "//two", "a/./b", "a/../b", "..", ".", "./a", "../a", "...", "a/..", ".hidden", "..a/b..",
	"dir/", "dir/sub/", "star*", "colon:", "at@", "dollar$", "excl!", "(paren)", "tab\tkey", "new\nline", "ctl\x01x", "del\x7f",
	"uploads", "s3proxy", "x.s3proxy/y", "a/.s3proxy-not", "-dash", "~tilde", "CON", "UPPER", "upper",
	strings.Repeat("k", 255), strings.Repeat("k", 256),
	strings.Repeat("0123456789/", 93) + "x", // 1024 bytes
	strings.Repeat("é", 120) + "/" + strings.Repeat("é", 120),
}
